//! A sign of life of a good configuration, in the memory that all VMs share.
//!
//! Envoy tries a new configuration in a VM that it throws away, and gives it to its workers if that one takes it. So what a
//! VM remembers is not what runs. The workers of a plugin that runs beat once a second. The beat ends with the plugin.

use core::cell::Cell;
use core::time::Duration;

use crate::host;
use crate::vm::Vm;

/// What a plugin of a name tells the next one of that name.
pub(crate) struct Heartbeat {
    beat: String,
    decision: String,
    /// When it beat, in nanoseconds since 1970.
    beaten: Cell<u64>,
}

/// How long a beat counts: a worker may miss two.
const LIFE: Duration = Duration::from_secs(3);
/// How long the workers follow what was decided about a configuration before it was given to them.
const DECISION: Duration = Duration::from_secs(10);

impl Heartbeat {
    /// How often a plugin beats that has no other reason for ticks.
    pub(crate) const PERIOD_MS: u32 = 1_000;

    /// The heartbeat of this plugin, if it has a name.
    pub(crate) fn of_plugin(vm: &Vm) -> Option<Self> {
        let name = vm.plugin_name()?;
        let key = |kind: &str| format!("tracewarden.{kind}.{name}");
        Some(Self { beat: key("runs"), decision: key("bypassed"), beaten: Cell::new(0) })
    }

    /// Says about once a second that a good configuration runs, however often that is called. Without a clock nothing is known
    /// to run.
    pub(crate) fn tick(&self, vm: &Vm) {
        let period = u64::from(Self::PERIOD_MS) * 1_000_000;
        let Some(now) = vm.now() else { return };
        // A tick may come a little early, and a clock may be set back.
        if now.abs_diff(self.beaten.get()) >= period - period / 10 {
            self.beaten.set(now);
            write(&self.beat, &[], vm);
        }
    }

    /// Whether a bad configuration must be refused, so that Envoy keeps the good one that runs. Once it was decided
    /// otherwise, no worker may refuse it: Envoy would answer 500.
    pub(crate) fn refuses(&self, json: &[u8], vm: &Vm) -> bool {
        let digest = digest(json).to_le_bytes();
        let is_decided = is_fresh(&self.decision, &digest, DECISION, vm);
        if !is_decided && is_fresh(&self.beat, &[], LIFE, vm) {
            return true;
        }
        write(&self.decision, &digest, vm);
        false
    }
}

/// Writes a text and the time. Without a clock or a shared memory nothing is known to run.
fn write(key: &str, text: &[u8], vm: &Vm) {
    if let Some(now) = vm.now() {
        vm.checked(host::set_shared_data(key, &[&now.to_le_bytes(), text].concat(), None));
    }
}

/// Whether this text was written not long ago.
fn is_fresh(key: &str, text: &[u8], life: Duration, vm: &Vm) -> bool {
    let Some((found, _)) = vm.checked(host::shared_data(key)).flatten() else { return false };
    match found.split_first_chunk() {
        Some((time, rest)) if rest == text => vm
            .now()
            .is_some_and(|now| u128::from(now.saturating_sub(u64::from_le_bytes(*time))) <= life.as_nanos()),
        _ => false,
    }
}

/// Tells configurations apart that follow each other within seconds: FNV-1a.
fn digest(json: &[u8]) -> u64 {
    json.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
