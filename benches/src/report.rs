//! Report of the results: printed during the run, and as tables in `docs/benchmarks.md`.

use crate::arguments::Options;
use crate::scenarios::Candidate;
use crate::servers::RunResult;
use crate::statistics::Spread;
use crate::{Outcome, print_line, site};
use std::fmt;
use std::fs;
use std::process::Command;

/// Results of all candidates of a scenario.
pub(crate) struct Comparison {
    pub(crate) scenario: &'static str,
    pub(crate) candidates: Vec<Candidate>,
    /// Results by candidate and round.
    pub(crate) turns: Vec<Vec<RunResult>>,
}

type Number = fn(&RunResult) -> f64;
/// Columns with their number of decimals.
const COLUMNS: [(Number, usize); 4] =
    [(|turn| turn.requests_per_second, 0), (|turn| turn.cpu, 1), (|turn| turn.p50, 0), (|turn| turn.p99, 0)];

impl Comparison {
    fn absolute(&self, which: usize, of: Number) -> f64 {
        Spread::of(self.turns[which].iter().map(of)).median
    }

    /// Ratio of the gateway's number to another candidate's, round by round.
    fn ratio(&self, other: usize, of: Number) -> Spread {
        Spread::of(self.turns[0].iter().zip(&self.turns[other]).map(|(ours, theirs)| of(ours) / of(theirs)))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### {}\n", self.scenario)?;
        writeln!(f, "| | requests/s | CPU µs a request | p50 µs | p99 µs |\n|---|--:|--:|--:|--:|")?;
        for (which, candidate) in self.candidates.iter().enumerate() {
            write!(f, "| {} ", candidate.name())?;
            for (of, digits) in COLUMNS {
                write!(f, "| {:.digits$} ", self.absolute(which, of))?;
            }
            writeln!(f, "|")?;
        }
        for (other, candidate) in self.candidates.iter().enumerate().skip(1) {
            write!(f, "| ÷ {} ", candidate.name())?;
            for (of, _) in COLUMNS {
                write!(f, "| {} ", self.ratio(other, of))?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}

const BEGIN: &str = "<!-- written by make bench: from here -->";
const END: &str = "<!-- written by make bench: to here -->";

/// Replaces the results between the two markers in `docs/benchmarks.md`.
pub(crate) fn write(options: &Options, results: &str) -> Outcome<()> {
    let path = site::workspace().join("docs/benchmarks.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("docs/benchmarks.md lacks the first marker")?;
    let (_, after) = rest.split_once(END).ok_or("docs/benchmarks.md lacks the second marker")?;
    let setting = setting(options)?;
    fs::write(&path, format!("{before}{BEGIN}\n\n{setting}{results}\n{END}{after}"))?;
    print_line("docs/benchmarks.md is written");
    Ok(())
}

/// Describes the machine, the versions and the command.
fn setting(options: &Options) -> Outcome<String> {
    let date = options.date.clone().map_or_else(|| output_of("date", &["--utc", "+%F"]), Ok)?;
    let cpu = output_of("sh", &["-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"])?;
    let cores = output_of("nproc", &["--all"])?;
    let kernel = output_of("uname", &["-sr"])?;
    let nginx = output_of("sh", &["-c", "nginx -v 2>&1 | cut -d/ -f2"])?;
    let rust = output_of("rustc", &["--version"])?;
    let commit = output_of("git", &["describe", "--always", "--dirty"])?;
    let (rounds, duration) = options.turns();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    Ok(format!(
        "Measured on {date} at commit {commit}, on {cores} cores of {cpu}, {kernel}, nginx {nginx}, {rust}, by \
         `make bench{}`: {rounds} rounds of {} s a turn.\n",
        if arguments.is_empty() { String::new() } else { format!(" ARGS=\"{}\"", arguments.join(" ")) },
        duration.as_secs()
    ))
}

fn output_of(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
