//! The edge to the VM.
//!
//! Everything that knows the VM or rustler is in this room: it turns terms into payloads ([`encode`]) and back
//! ([`decode`]), gives words their meaning ([`meaning`]), and offers the other rooms to Elixir as functions of the
//! module `ElixirScope.Native`.
//!
//! Two kinds of functions: those that rewritten code calls ([`capture`]), written by hand against the C interface
//! because each nanosecond counts, with those that the VM calls for processes that are watched ([`tracer`]), and those that users wait for ([`session`], [`queries`]), written with rustler
//! on dirty schedulers, save what a test asks about itself ([`family`]). No panic leaves either kind.

mod capture;
mod decode;
mod diff;
mod encode;
mod family;
mod heap;
mod immediate;
mod meaning;
mod messages;
mod queries;
mod redact;
mod session;
mod site;
mod state;
mod stats;
mod tracer;
mod vm;
mod weigh;

mod atoms {
    //! Atoms by name.
    rustler::atoms! {
        ok, error, new, unsourced, nil, none, off,
        cut = "__elixir_scope_cut__",
        open, unknown, returned, raised,
        known, before, never, lost, long,
        delivered, pending, nobody, unwatched,
        running, paused, stopped, failed,
        missing,
        redact,
        elixir_scope_stopped,
        elixir_scope_warned,
    }
}

fn load(env: rustler::Env, _info: rustler::Term) -> bool {
    session::clock();
    capture::prepare();
    tracer::prepare();
    let env = vm::Env::of(env);
    let samples = heap::samples(env);
    if immediate::learn(env, &capture::atoms(), &samples) {
        heap::learn(env, &samples);
    }
    true
}

rustler::init!("Elixir.ElixirScope.Native", load = load);
