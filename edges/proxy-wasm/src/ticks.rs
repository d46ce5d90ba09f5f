//! A plugin's timer.

use core::cell::Cell;

use crate::host;
use crate::vm::Vm;

/// The timer of a plugin, which its streams have ring early.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    /// What the host was asked for, in milliseconds; 0 is none.
    period_ms: Cell<u32>,
}

/// As early as a host can be asked for.
const AT_ONCE_MS: u32 = 1;

impl Ticks {
    /// Asks for a tick in every period from now on, or for none, unless the host was asked for just that.
    pub(crate) fn set(&self, period_ms: u32, vm: &Vm) {
        if self.period_ms.replace(period_ms) != period_ms {
            vm.checked(host::set_tick_period(period_ms));
        }
    }

    /// Asks for a tick at once. An upload that a stream makes itself would end with the stream.
    #[cold]
    pub(crate) fn wake(&self, vm: &Vm) {
        self.set(AT_ONCE_MS, vm);
    }
}
