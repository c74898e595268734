//! How many tests passed, failed and were skipped, read from each runner's own report.

use serde::Deserialize;
use std::fmt;
use std::iter::Sum;

/// A count of tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Did what they say.
    pub passed: u64,
    /// Did not, or could not be run at all.
    pub failed: u64,
    /// Said why they could not do it here.
    pub skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, one| Self {
            passed: sum.passed + one.passed,
            failed: sum.failed + one.failed,
            skipped: sum.skipped + one.skipped,
        })
    }
}

impl Tally {
    /// A runner that broke down is one failure, so that no sum can look whole without it.
    pub const BROKEN: Self = Self { passed: 0, failed: 1, skipped: 0 };
    /// A suite that cannot run here.
    pub const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// Of the JUnit report that nextest writes. A test that passed and printed a line beginning with `skipped: ` was skipped.
    #[must_use]
    pub fn of_junit(report: &str) -> Option<Self> {
        let mut tally = Self::default();
        report.contains("<testsuites").then_some(())?;
        for case in report.split("<testcase ").skip(1) {
            let case = case.split("</testcase>").next().unwrap_or(case);
            // What a test prints is escaped there, so these can only be the report's own.
            if case.contains("<failure") || case.contains("<error") {
                tally.failed += 1;
            } else if case.contains("<skipped") || says_skipped(case) {
                tally.skipped += 1;
            } else {
                tally.passed += 1;
            }
        }
        Some(tally)
    }

    /// Of what `cargo test` prints.
    #[must_use]
    pub fn of_libtest(printed: &str) -> Option<Self> {
        let results = printed.lines().filter_map(|line| line.split_once("test result: ")).map(|(_, counts)| Self {
            passed: counted(counts, "passed"),
            failed: counted(counts, "failed"),
            skipped: counted(counts, "ignored"),
        });
        let results: Vec<Self> = results.collect();
        (!results.is_empty()).then(|| results.into_iter().sum())
    }

    /// Of vitest's JSON report.
    #[must_use]
    pub fn of_vitest(report: &str) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Report {
            num_passed_tests: u64,
            num_failed_tests: u64,
            num_pending_tests: u64,
            success: bool,
        }
        let report: Report = serde_json::from_str(report).ok()?;
        // A file that does not load fails without a failed test.
        let failed = if report.success { 0 } else { report.num_failed_tests.max(1) };
        Some(Self { passed: report.num_passed_tests, failed, skipped: report.num_pending_tests })
    }

    /// Of Playwright's JSON report.
    #[must_use]
    pub fn of_playwright(report: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Report {
            stats: Stats,
            #[serde(default)]
            errors: Vec<serde::de::IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Stats {
            expected: u64,
            skipped: u64,
            unexpected: u64,
            flaky: u64,
        }
        let Report { stats, errors } = serde_json::from_str(report).ok()?;
        let failed = (stats.unexpected + stats.flaky).max(errors.len() as u64);
        Some(Self { passed: stats.expected, failed, skipped: stats.skipped })
    }
}

fn says_skipped(case: &str) -> bool {
    case.lines().any(|line| line.rsplit('>').next().is_some_and(|text| text.trim_start().starts_with("skipped: ")))
}

/// The number before a word: `5 passed; 1 failed; …`.
fn counted(counts: &str, word: &str) -> u64 {
    let part = counts.split([';', '.']).map(str::trim).find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_junit_report_is_counted_case_by_case() {
        let report = r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="4" failures="1" errors="0">
            <testsuite name="record"><testcase name="a" time="0.1"/><testcase name="b"><system-out>
running 1 test
skipped: ../shared/x is not here
test b ... ok</system-out></testcase>
            <testcase name="c"><failure type="test failure">thread panicked: &lt;error</failure></testcase>
            <testcase name="d"><system-out>nothing was skipped: all well</system-out></testcase></testsuite></testsuites>"#;
        assert_eq!(Tally::of_junit(report), Some(Tally { passed: 2, failed: 1, skipped: 1 }));
        assert_eq!(Tally::of_junit(""), None);
    }

    #[test]
    fn what_cargo_test_prints_is_summed_over_crates() {
        let printed = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                       test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Tally::of_libtest(printed), Some(Tally { passed: 15, failed: 2, skipped: 1 }));
        assert_eq!(Tally::of_libtest("error: could not compile"), None);
    }

    #[test]
    fn a_vitest_report_whose_file_did_not_load_has_failed() {
        let report = |success| format!(r#"{{"numPassedTests":7,"numFailedTests":0,"numPendingTests":1,"success":{success}}}"#);
        assert_eq!(Tally::of_vitest(&report(true)), Some(Tally { passed: 7, failed: 0, skipped: 1 }));
        assert_eq!(Tally::of_vitest(&report(false)), Some(Tally { passed: 7, failed: 1, skipped: 1 }));
    }

    #[test]
    fn a_flaky_browser_test_has_failed() {
        let report = r#"{"stats":{"expected":5,"skipped":1,"unexpected":0,"flaky":1,"duration":1.5},"errors":[]}"#;
        assert_eq!(Tally::of_playwright(report), Some(Tally { passed: 5, failed: 1, skipped: 1 }));
        assert_eq!(Tally::of_playwright("{}"), None);
    }

    #[test]
    fn the_summary_reads_as_a_runner_writes_it() {
        let sum: Tally = [Tally { passed: 3, failed: 0, skipped: 0 }, Tally::BROKEN, Tally::SKIPPED].into_iter().sum();
        assert_eq!(sum.to_string(), "3 passed, 1 failed, 1 skipped");
    }
}
