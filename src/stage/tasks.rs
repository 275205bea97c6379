//! Which tasks take part.

use std::fmt;
use std::str::FromStr;

use crate::error::Message;
use crate::text::{count, foreign};

/// One argument of `--tasks`: a task's name, or patterns with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskArgument {
    text: String,
    patterns: Vec<glob::Pattern>,
}

/// Patterns of task names; a task takes part whose whole name matches one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFilter {
    patterns: Vec<glob::Pattern>,
}

impl FromStr for TaskArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let patterns = split(text)
            .map(|pattern| match pattern.trim() {
                "" => Err("an empty pattern, which matches no task".to_owned()),
                pattern => glob::Pattern::new(pattern).map_err(|error| error.to_string()),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            patterns,
        })
    }
}

/// The parts of `text` between commas, but for those in brackets, as in `x[,;]*`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    // The first character in brackets closes none, nor does it behind `!`.
    let (mut in_brackets, mut is_first) = (false, false);
    text.split(move |c| {
        let was_first = std::mem::replace(&mut is_first, false);
        match c {
            '[' if !in_brackets => (in_brackets, is_first) = (true, true),
            '!' if was_first => is_first = true,
            ']' if !was_first => in_brackets = false,
            _ => {}
        }
        c == ',' && !in_brackets
    })
}

impl TaskArgument {
    /// The patterns among `tasks`: what is a task's name stands for that task alone.
    fn patterns(&self, tasks: &[&str]) -> Vec<glob::Pattern> {
        let named = |text: &str| {
            // A comma in brackets divides no patterns when the text is read again.
            let escaped = || glob::Pattern::escape(text).replace(',', "[,]");
            tasks
                .contains(&text)
                .then(|| glob::Pattern::new(&escaped()).ok())
                .flatten()
        };
        let of_part =
            |pattern: &glob::Pattern| named(pattern.as_str()).unwrap_or_else(|| pattern.clone());
        match named(&self.text) {
            Some(task) => vec![task],
            None => self.patterns.iter().map(of_part).collect(),
        }
    }
}

impl TaskFilter {
    /// What the arguments mean among `tasks`; `None` without an argument, which leaves no task out. The patterns'
    /// order makes no difference.
    ///
    /// # Errors
    /// A request with the patterns that match none of `tasks`.
    pub fn new(arguments: &[TaskArgument], tasks: &[&str]) -> Result<Option<Self>, Message> {
        let mut patterns: Vec<glob::Pattern> = arguments
            .iter()
            .flat_map(|argument| argument.patterns(tasks))
            .collect();
        patterns.sort();
        patterns.dedup();
        let filter = Self { patterns };
        let (_, unmatched): (Vec<_>, Vec<_>) = (filter.patterns.iter().cloned())
            .partition(|pattern| tasks.iter().any(|task| pattern.matches(task)));
        if !unmatched.is_empty() {
            let patterns = Self {
                patterns: unmatched,
            };
            let text = format!(
                "--tasks {}: matches none of {}",
                foreign(&patterns.to_string()),
                count(tasks.len(), "task", "tasks")
            );
            let hint = "a pattern is matched against whole task names, as in `--tasks 'ml_*'`";
            return Err(Message::request(text).hint(hint));
        }
        Ok((!filter.patterns.is_empty()).then_some(filter))
    }

    /// Whether the task takes part.
    pub fn matches(&self, task: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(task))
    }
}

impl fmt::Display for TaskFilter {
    /// As `--tasks` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<&str> = self.patterns.iter().map(glob::Pattern::as_str).collect();
        f.write_str(&patterns.join(","))
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: [&str; 5] = ["a", "b", "a,b", "c,d", "x[1]"];

    fn filter(arguments: &[&str]) -> Result<Option<TaskFilter>, Message> {
        let parse = |text: &&str| text.parse().unwrap();
        let arguments: Vec<TaskArgument> = arguments.iter().map(parse).collect();
        TaskFilter::new(&arguments, &TASKS)
    }

    fn shown(arguments: &[&str]) -> String {
        filter(arguments).unwrap().unwrap().to_string()
    }

    fn chosen(arguments: &[&str]) -> Vec<&'static str> {
        let filter = filter(arguments).unwrap().unwrap();
        let tasks = TASKS.into_iter();
        tasks.filter(|task| filter.matches(task)).collect()
    }

    #[test]
    fn patterns_read_the_same_in_any_order_and_one_reads_as_it_was_written() {
        assert_eq!(filter(&[]).unwrap(), None);
        assert_eq!(shown(&["b"]), "b");
        assert_eq!(shown(&["b", "a*", "b"]), "a*,b");
        assert_eq!(shown(&["b, a*"]), "a*,b");
    }

    #[test]
    fn a_comma_divides_patterns_unless_it_is_in_brackets_or_in_a_name() {
        assert_eq!(chosen(&["b,c*"]), ["b", "c,d"]);
        assert_eq!(chosen(&["?[,]?"]), ["a,b", "c,d"]);
        assert_eq!(chosen(&["[!],]", "c[,]*"]), ["a", "b", "c,d"]);
        // The name of a task is that task, and no other key than its own.
        assert_eq!(chosen(&["a,b"]), ["a,b"]);
        assert_eq!(
            (shown(&["a,b"]), shown(&["a", "b"])),
            ("a[,]b".into(), "a,b".into())
        );
        assert_eq!(chosen(&["a[,]b"]), ["a,b"]);
        assert_eq!(chosen(&["x[1]"]), ["x[1]"]);
        assert_eq!(chosen(&["b,x[1]"]), ["b", "x[1]"]);
    }

    #[test]
    fn no_pattern_is_empty() {
        for text in ["", " ", "a,", ",a", "a, ,b"] {
            let error = text.parse::<TaskArgument>().unwrap_err();
            assert_eq!(error, "an empty pattern, which matches no task", "{text}");
        }
    }

    #[test]
    fn a_pattern_without_a_task_is_an_error() {
        let error = filter(&["z*", "a", "y"]).unwrap_err();
        assert_eq!(error.to_string(), "--tasks y,z*: matches none of 5 tasks");
    }
}
