//! A payload of any bytes. What `check` says of it is also true of its translation; what `skip` steps over is what a walk
//! over the tokens passes; tokens that are put come back.
#![no_main]

use elixir_scope_event::{value, varint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let checked = value::check(payload);
    let mut translated = Vec::new();
    let mut words = 0;
    let outcome = value::translate(payload, &mut translated, |_| {
        words += 1;
        words - 1
    });
    match outcome {
        Ok(()) => assert_eq!(value::check(&translated).is_ok(), checked.is_ok()),
        Err(_) => assert!(checked.is_err()),
    }
    let mut rest = payload;
    let Ok(first) = varint::take(&mut rest) else { return };
    let mut again = Vec::new();
    varint::put(&mut again, first);
    while let (false, Ok(token)) = (rest.is_empty(), value::take(&mut rest)) {
        let start = again.len();
        value::put(&mut again, token);
        let back = value::take(&mut &again[start..]);
        // Debug texts: a float that is no number differs from itself.
        assert_eq!(format!("{back:?}"), format!("{:?}", Ok::<_, elixir_scope_event::Malformed>(token)));
    }
    if checked.is_ok() {
        assert_eq!(value::check(&again), checked);
    }
});
