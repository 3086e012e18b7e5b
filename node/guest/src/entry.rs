//! What [`entry!`](crate::entry!) expands to.

use std::fmt::Display;

/// Runs a function and turns its result into what an entry returns: 0, or -1 with the error in
/// the log.
pub fn run<E: Display>(name: &str, function: impl FnOnce() -> Result<(), E>) -> i32 {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| crate::log!("{panic}")));

    match function() {
        Ok(()) => 0,
        Err(error) => {
            crate::log!("{name} failed: {error}");
            aegis_abi::FAILURE
        }
    }
}

/// Makes a function an entry of the module, under its own name or another.
///
/// The function takes nothing and returns a `Result<(), E>` with any `E` that can be displayed.
/// `Ok` makes the entry return 0; `Err` is written to the log, and the entry returns -1, which
/// fails the invocation. A panic is written to the log too, and traps.
///
/// A module may have as many entries as you like; the configuration's `entry` chooses one by name
/// (`handle_request` where it says nothing). Names are unique in a module. Use the macro next to
/// the function or in any module that sees it:
///
/// ```
/// mod answers {
///     pub fn ping() -> Result<(), aegis_guest::Error> {
///         aegis_guest::respond(200, "text/plain", "pong\n")
///     }
/// }
///
/// fn nothing() -> Result<(), String> {
///     Ok(())
/// }
///
/// aegis_guest::entry!(nothing);
/// aegis_guest::entry!(handle_request => answers::ping);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! entry {
    ($function:ident) => {
        $crate::entry!($function => $function);
    };
    ($name:ident => $function:path) => {
        const _: () = {
            // Exported from the wasm module only: in a native test it would be a global symbol
            // that could clash with one of libc.
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = stringify!($name)))]
            extern "C" fn __aegis_entry() -> i32 {
                $crate::entry::run(stringify!($name), $function)
            }
            let _: extern "C" fn() -> i32 = __aegis_entry;
        };
    };
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::Error;
    use crate::testing::Host;

    #[test]
    fn success_returns_zero_and_logs_nothing() {
        let outcome = Host::new().run(|| {
            assert_eq!(run("good", || Ok::<(), Error>(())), 0);
            Ok::<(), Error>(())
        });
        assert!(outcome.logs().is_empty());
    }

    #[test]
    fn an_error_returns_minus_one_and_is_logged() {
        let outcome = Host::new().run(|| {
            assert_eq!(run("bad", || Err("no luck")), -1);
            Ok::<(), Error>(())
        });
        assert_eq!(outcome.logs(), ["bad failed: no luck"]);
    }
}
