//! Logging: line format and asynchronous output to standard error, also of panics.

mod lines;
mod panics;
mod queue;

pub(super) use queue::Queue;

use crate::base::clock::Clock;
use crate::settings::LogFormat;
use lines::{Lines, Time};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, JsonFields};

/// Installs the global logger with this format and queue, and the panic hook; `RUST_LOG` sets the filter.
pub(super) fn init(format: LogFormat, queue: &Queue) {
    let (queue, panic_queue) = (queue.clone(), queue.clone());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let time = Time(Clock::system());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || queue.clone());
    match format {
        LogFormat::Json => {
            let other = Format::default().json().flatten_event(true).with_timer(time.clone());
            builder.fmt_fields(JsonFields::new()).event_format(Lines { time, other }).init();
        }
        LogFormat::Pretty => builder.with_timer(time).init(),
    }
    panics::install(&panic_queue);
}
