//! Lines that a run writes because it takes long, which therefore stand in no snapshot. Shared with `cli::console`, which
//! writes them.

/// Whether it is a line such as `extracting features: 512 of 1,072, 61.2 per second, 9 s left`, or the one after it,
/// `extracting features: 1,072 in 17.5 s`.
pub(crate) fn is_progress(line: &str) -> bool {
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let Some((_, counts)) = line.trim_end().rsplit_once(": ") else {
        return false;
    };
    let under_way = counts
        .strip_suffix(" s left")
        .is_some_and(|rest| rest.contains(" of ") && rest.contains(" per second, "));
    let over = counts
        .strip_suffix(" s")
        .and_then(|rest| rest.rsplit_once(" in "))
        .is_some_and(|(_, seconds)| seconds.parse::<f64>().is_ok());
    starts_with_digit(counts) && (under_way || over)
}
