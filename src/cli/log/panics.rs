//! Log line about a panic, in place of the text that the standard library writes to standard error.

use super::Queue;
use std::panic::{self, PanicHookInfo};
use std::thread;

/// Maximum size of a message.
const MAX_MESSAGE_BYTES: usize = 512;
/// Beginnings of values in the messages of the standard library: the string that was sliced, the error of an `unwrap`, the
/// sides of an assertion. A value may be a secret and is left out.
const VALUES: [&str; 4] = [" of `", " slicing `", " `Err` value:", "\n"];

/// Makes each panic leave one line at `ERROR`. The main thread, whose panic ends the process, also waits until it is
/// written.
pub(in crate::cli) fn install(queue: &Queue) {
    let queue = queue.clone();
    panic::set_hook(Box::new(move |panic| {
        write_line(panic);
        if thread::current().name() == Some("main") {
            queue.flush_all();
        }
    }));
}

fn write_line(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let cause = panic.payload_as_str().map_or_else(|| "unknown".to_owned(), message);
    tracing::error!(thread = thread.name().unwrap_or_default(), location, cause, "thread panicked");
}

/// Returns the message of a panic up to the first value: one line, bounded.
fn message(text: &str) -> String {
    let end = VALUES.iter().filter_map(|value| text.find(value)).min().unwrap_or(text.len());
    let end = text.floor_char_boundary(end.min(MAX_MESSAGE_BYTES));
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::captured_log::CapturedLog;
    use parking_lot::Mutex;

    /// Permission to replace the hook of this process.
    static HOOK: Mutex<()> = Mutex::new(());

    /// Lines that a panic leaves.
    fn lines(panics: impl FnOnce() + panic::UnwindSafe) -> Vec<String> {
        let (log, _guard) = CapturedLog::start();
        let _permission = HOOK.lock();
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(write_line));
        assert!(panic::catch_unwind(panics).is_err());
        panic::set_hook(earlier);
        log.take()
    }

    #[test]
    fn a_panic_leaves_one_bounded_line_with_thread_and_location() {
        let lines = lines(|| panic!("the cause is\tthis: {}", "x".repeat(10_000)));
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert!(line.contains("ERROR") && line.contains("thread panicked"), "{line}");
        assert!(line.contains("the cause is this: xxx") && line.len() < 1000, "{line}");
        assert!(line.contains("cli/log/panics.rs:"), "{line}");
        assert!(line.contains(thread::current().name().unwrap()), "{line}");
    }

    fn rejected(secret: String) -> Result<(), String> {
        if secret.is_empty() { Ok(()) } else { Err(secret) }
    }

    #[test]
    fn a_panic_of_the_standard_library_leaves_no_value_in_the_log() {
        let secret = || String::from("é-secret");
        let panics: [fn(String); 4] = [
            |secret| assert!(secret[1..].is_empty()),
            |secret| assert!(secret[5..secret.find('-').unwrap()].is_empty()),
            |secret| rejected(secret).unwrap(),
            |secret| assert_eq!(secret, ""),
        ];
        for panics in panics {
            let lines = lines(move || panics(secret()));
            assert!(lines.len() == 1 && !lines[0].contains("-secret"), "{lines:?}");
        }
    }
}
