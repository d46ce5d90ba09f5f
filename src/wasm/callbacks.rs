//! What the host calls, and the contexts that its numbers stand for.
//!
//! Not the Rust SDK's: its callbacks end the VM where a number is unknown to them, and bring along all that a filter of
//! any kind could want of them, 25 KB for nothing. A number that is unknown here is passed over.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::{Http, Plugin, logger, uploads};

/// The plugins and streams of the VM, by their numbers.
#[derive(Default)]
struct Contexts {
    plugins: Vec<(u32, Rc<Plugin>)>,
    streams: BTreeMap<u32, Rc<Http>>,
}

thread_local! {
    // Nothing in it is dropped, so there is no moment at which it is gone.
    static CONTEXTS: ManuallyDrop<RefCell<Contexts>> = const {
        ManuallyDrop::new(RefCell::new(Contexts { plugins: Vec::new(), streams: BTreeMap::new() }))
    };
}

/// Looks contexts up; nothing in here calls the host, which could call back.
#[inline]
fn contexts<T>(look: impl FnOnce(&mut Contexts) -> T) -> T {
    CONTEXTS.with(|contexts| look(&mut contexts.borrow_mut()))
}

#[inline]
fn plugin(id: u32) -> Option<Rc<Plugin>> {
    contexts(|all| all.plugins.iter().find(|(known, _)| *known == id).map(|(_, plugin)| plugin.clone()))
}

#[inline]
fn stream(id: u32) -> Option<Rc<Http>> {
    contexts(|all| all.streams.get(&id).cloned())
}

unsafe extern "C" {
    /// What the linker makes of all that has to be done first.
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() };
    logger::start();
}

/// The version of the interface, told by the function's name.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Room for what the host hands over; it comes back through `host::returned`.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// Begins a stream of the plugin `root`, or a plugin if that is 0.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    if root == 0 {
        let plugin = Rc::default();
        contexts(|all| all.plugins.push((id, plugin)));
    } else if let Some(plugin) = plugin(root) {
        let stream = Rc::new(plugin.stream());
        contexts(|all| all.streams.insert(id, stream));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    plugin(root).is_some_and(|plugin| plugin.configure(size))
}

/// The host's word for a stream that goes on.
const CONTINUE: u32 = 0;

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _: u32, _: u32) -> u32 {
    if let Some(stream) = stream(id) {
        stream.request();
    }
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _: u32, _: u32) -> u32 {
    if let Some(stream) = stream(id) {
        stream.response();
    }
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    if let Some(stream) = stream(id) {
        stream.finish();
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    // What is removed is dropped after the look-up, because a plugin counts what it loses.
    if contexts(|all| all.streams.remove(&id)).is_none() {
        drop(contexts(|all| {
            let place = all.plugins.iter().position(|(known, _)| *known == id)?;
            Some(all.plugins.swap_remove(place))
        }));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    if let Some(plugin) = plugin(root) {
        plugin.tick();
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_: u32, token: u32, headers: u32, size: usize, _: u32) {
    uploads::http_answered(token, headers, size);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(_: u32, token: u32, size: usize) {
    uploads::grpc_answered(token, size);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(_: u32, token: u32, status: u32) {
    uploads::grpc_ended(token, status);
}
