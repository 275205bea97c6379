//! Patterns of `--tasks` that are none, or too clever.

use super::{TaskArgument, TaskFilter};
use crate::error::Failure;
use crate::fuzz::{check, said};

#[test]
fn damaged_patterns_are_refused_or_match() {
    let long = "a".repeat(3000);
    let tasks = ["ml_age_x", "ml_tag_y", "a,b", "x[1]", "é", &long];
    let samples = [
        "ml_age_*,ml_tag_?",
        "x[1],[!a-z]*",
        "*a*a*a*a*a*a*a*a*",
        "**/ml_*",
        "x[[]*",
    ];
    check(
        2000,
        samples.map(|sample| sample.as_bytes().to_vec()).to_vec(),
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let argument: TaskArgument = text
                .parse()
                .map_err(|error: super::ArgumentError| error.to_string())?;
            let filter = TaskFilter::new(&[argument], &tasks)
                .map_err(|error| said(&error, Failure::hint(&error)))?
                .expect("one argument makes a filter");
            assert!(tasks.iter().any(|task| filter.matches(task)), "{filter}");
            Ok(())
        },
    );
}
