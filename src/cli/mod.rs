//! The command line: the only code that sees argv, the environment and the terminal.

#![allow(
    rustdoc::invalid_html_tags,
    reason = "doc comments are help texts, in which `<…>` is a placeholder"
)]

mod cache;
mod completions;
mod console;
mod data;
mod errors;
mod features;
mod models;
mod plan;
mod predict;
mod run;
mod settings;
mod signals;
mod streams;
mod threads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::console::Console;
use crate::error::{Error, exit};
use crate::interrupt::Left;
use crate::pipeline::config::template;
use crate::text::foreign;

/// Evaluates vision models on NeWT: frozen features, one probe per task, everything cached.
///
/// Results go to standard output, progress and messages to standard error. Exit codes: 0 done, 1
/// failed, 2 wrong usage or configuration, 3 bad data, 4 `--check` found work to do, 75 stopped by
/// a scheduler and resumable, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "newt-pipe", version = settings::VERSION, propagate_version = true, max_term_width = 100)]
struct Cli {
    /// Print errors and warnings only, besides the result.
    #[arg(long, short, global = true)]
    quiet: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Evaluate the models of a pipeline file.
    Run(run::Args),
    /// Say which stages are cached, which would run, and why.
    Plan(plan::Args),
    /// Use fitted probes on features.
    Predict(predict::Args),
    /// List the most confident mistakes of a run, with the paths of their images.
    ///
    /// A mistake is the more confident the larger its decision value, without the sign: how far the image is on
    /// the wrong side of the border, or by how much its neighbours outvote others. Each task has a scale of its own, so that values of
    /// several tasks compare only roughly. A positive one means label 1.
    Errors(errors::Args),
    /// Get, check or make a data set.
    #[command(subcommand)]
    Data(data::Command),
    /// Find, fetch and check the checkpoints of models.
    #[command(subcommand)]
    Models(models::Command),
    /// Work with features.
    #[command(subcommand)]
    Features(features::Command),
    /// Look at the cache.
    #[command(subcommand)]
    Cache(cache::Command),
    /// Print a pipeline file with every key, its default and what it does: `newt-pipe config > newt.toml`.
    Config,
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// How a command that found no error ends.
enum Outcome {
    Done,
    /// `--check` found that something would run.
    WorkToDo,
    /// A check found bad data, and said so.
    BadData,
}

/// Parses argv, runs the command, prints its error, and gives the exit code.
pub fn main() -> ExitCode {
    settings::expand_paths();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return say_answer(&harmless(answer)),
    };
    let console = Console::new(cli.quiet);
    settings::search_libtorch();
    let outcome = signals::catch(&console.interrupt).and_then(|()| cli.command.exec(&console));
    end(&console, outcome)
}

/// The parser's answer in place of arguments: help or the version, which is a result, or what is wrong with them.
fn say_answer(answer: &clap::Error) -> ExitCode {
    let console = Console::new(false);
    if answer.use_stderr() {
        // Nobody is left to be told if that fails.
        let _ = answer.print();
        return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(exit::USAGE));
    }
    let printed = streams::require_output()
        .and_then(|()| answer.print().map_err(|error| streams::not_written(&error)))
        .map(|()| Outcome::Done);
    end(&console, printed)
}

/// The same answer in words that a terminal may get, since the parser repeats arguments as they are: what it says of
/// these arguments as a message shows them.
fn harmless(answer: clap::Error) -> clap::Error {
    if !answer.use_stderr() {
        return answer;
    }
    let shown = std::env::args_os().map(|argument| foreign(&argument.to_string_lossy()));
    match Cli::try_parse_from(shown) {
        Err(of_shown) if of_shown.use_stderr() => of_shown,
        _ => answer,
    }
}

/// Prints the error, if there is one, and gives the exit code.
fn end(console: &Console, outcome: Result<Outcome, Error>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::from(exit::DONE),
        Ok(Outcome::WorkToDo) => ExitCode::from(exit::WORK_TO_DO),
        Ok(Outcome::BadData) => ExitCode::from(exit::BAD_DATA),
        // Whoever read our output has read enough.
        Err(error) if error.is_a::<streams::Closed>().is_some() => ExitCode::from(exit::DONE),
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

impl Command {
    /// Whether the result goes to standard output.
    fn prints(&self) -> bool {
        match self {
            Command::Run(args) => !args.check,
            Command::Plan(args) => !args.check,
            Command::Predict(args) => args.output.is_none(),
            Command::Features(_) => false,
            _ => true,
        }
    }

    /// What the command leaves for the next time where it is stopped.
    fn left(&self) -> Left {
        match self {
            Command::Run(args) => args.left(),
            Command::Features(_) => Left::Stages,
            Command::Models(models::Command::Fetch(_)) | Command::Data(data::Command::Fetch(_)) => {
                Left::Downloads
            }
            _ => Left::Nothing,
        }
    }

    fn exec(self, console: &Console) -> Result<Outcome, Error> {
        if self.prints() {
            streams::require_output()?;
        }
        let n_threads = match &self {
            Command::Run(args) => args.threads,
            _ => None,
        };
        threads::start(n_threads, console)?;
        let left = self.left();
        let done = match self {
            Command::Run(args) => run::exec(args, console),
            Command::Plan(args) => plan::exec(args, console),
            Command::Predict(args) => predict::exec(&args, console),
            Command::Errors(args) => errors::exec(&args, console),
            Command::Data(command) => data::exec(command, console),
            Command::Models(command) => models::exec(&command, console),
            Command::Features(command) => features::exec(command, console),
            Command::Cache(command) => cache::exec(&command, console),
            Command::Config => console.result(&template()).map(|()| Outcome::Done),
            Command::Completions(args) => completions::exec(&args, console),
        };
        done.map_err(|error| left.of(error))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_help_lists_every_exit_code() {
        let help = super::Cli::command().render_long_help().to_string();
        let help: Vec<&str> = help.split_whitespace().collect();
        let help = help.join(" ");
        let (_, codes) = help.split_once("Exit codes: ").unwrap();
        let (codes, _) = codes.split_once('.').unwrap();
        let listed: Vec<&str> = codes
            .split(", ")
            .map(|code| code.split(' ').next().unwrap())
            .collect();
        let constants: Vec<&str> = include_str!("../error.rs")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub const ")?.strip_suffix(';'))
            .map(|constant| constant.rsplit_once("u8 = ").unwrap().1)
            .collect();
        assert_eq!(listed, constants);
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
