use core::cell::{RefCell, RefMut};
use std::rc::Rc;

use super::{Answer, Export, Exporter, Uploads};
use crate::host::{Clock, Metrics, Random};
use crate::resource::Resource;

/// The exporters of a worker, one for each collector and resource. They outlive the configurations and the plugins that use
/// them: a later one goes on with their spans.
#[derive(Debug, Default)]
pub struct Exporters {
    all: RefCell<Vec<Outlet>>,
    /// The plugins that send, by their numbers.
    senders: RefCell<Vec<u32>>,
}

/// The place where a plugin's streams leave their spans.
#[derive(Clone, Debug)]
pub struct Outlet(Rc<RefCell<Exporter>>);

impl Outlet {
    /// The exporter.
    // No callback of a host runs within another that holds one, so it is never borrowed twice.
    #[must_use]
    pub fn exporter(&self) -> RefMut<'_, Exporter> {
        self.0.borrow_mut()
    }

    /// Whether streams or plugins can still leave spans here.
    fn is_used(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

impl Exporters {
    /// No exporters.
    #[must_use]
    pub const fn new() -> Self {
        Self { all: RefCell::new(Vec::new()), senders: RefCell::new(Vec::new()) }
    }

    /// The exporter for this collector and this resource, under the bounds of this configuration.
    #[must_use]
    pub fn outlet(&self, export: &Export, resource: Resource) -> Outlet {
        let mut all = self.all.borrow_mut();
        if let Some(known) = all.iter().find(|outlet| outlet.exporter().is_for(export, &resource)) {
            known.exporter().adopt(export);
            return known.clone();
        }
        let new = Outlet(Rc::new(RefCell::new(Exporter::new(export, resource))));
        all.push(new.clone());
        new
    }

    /// Whether there is, or can be, anything to send.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.all.borrow().is_empty()
    }

    /// Has a plugin send, whose number no other plugin has.
    pub fn join(&self, sender: u32) {
        let mut senders = self.senders.borrow_mut();
        if !senders.contains(&sender) {
            senders.push(sender);
        }
    }

    /// Sends what is to be sent now.
    pub fn tick(&self, sender: u32, host: &mut (impl Clock + Random + Metrics + Uploads)) {
        for outlet in self.all.borrow().iter() {
            outlet.exporter().send(sender, host);
        }
        // An exporter that no configuration has any more lasts until its spans have gone.
        self.all.borrow_mut().retain(|outlet| outlet.is_used() || !outlet.exporter().is_empty());
    }

    /// Takes the answer to an upload of this sender, or that there is none.
    pub fn answered(
        &self,
        token: u32,
        sender: u32,
        answer: Option<Answer<'_>>,
        host: &mut (impl Clock + Random + Metrics + Uploads),
    ) {
        let all = self.all.borrow();
        let _ = all.iter().any(|outlet| outlet.exporter().answered(token, sender, answer, host));
    }

    /// Ends a plugin. What it has on its way goes to the others. If there are none, all that waits is dropped.
    pub fn leave(&self, sender: u32, host: &mut impl Metrics) {
        let mut senders = self.senders.borrow_mut();
        senders.retain(|other| *other != sender);
        for outlet in self.all.borrow().iter() {
            if senders.is_empty() {
                outlet.exporter().close(host);
            } else {
                outlet.exporter().forsake(sender, host);
            }
        }
        if senders.is_empty() {
            self.all.borrow_mut().clear();
        }
    }
}
