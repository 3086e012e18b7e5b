//! The numbers and how they compare.

use std::{fmt, time::Duration};

/// All that was measured.
pub(crate) struct Report {
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) figures: Vec<Figure>,
}

/// A number that stands for itself.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) measured: String,
    pub(crate) promised: String,
    pub(crate) good: bool,
}

/// CPU time per request without the node and with it.
pub(crate) struct Comparison {
    pub(crate) name: &'static str,
    pub(crate) bare: Duration,
    pub(crate) aegis: Duration,
    /// What `aegis / bare` should not exceed.
    pub(crate) most: f64,
}

/// The middle value; the upper of the two middle ones if their number is even.
pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// In millionths of a second.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

// === impl Report ===

impl Report {
    /// Whether every number is as it should be.
    pub(crate) fn is_good(&self) -> bool {
        self.comparisons.iter().all(Comparison::is_good)
            && self.figures.iter().all(|figure| figure.good)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:18}{:>11}{:>11}{:>8}",
            "CPU/request", "pingora", "aegis", "ratio"
        )?;
        for one in &self.comparisons {
            write!(out, "{one}")?;
        }
        for one in &self.figures {
            write!(out, "{one}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.good { "ok" } else { "not reached" };
        writeln!(
            out,
            "{:22}{:>20}  ({}: {verdict})",
            self.name, self.measured, self.promised
        )
    }
}

// === impl Comparison ===

impl Comparison {
    fn ratio(&self) -> f64 {
        self.aegis.as_secs_f64() / self.bare.as_secs_f64()
    }

    fn is_good(&self) -> bool {
        self.ratio() <= self.most
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_good() { "ok" } else { "too much" };
        writeln!(
            out,
            "{:18}{:8.1} µs{:8.1} µs{:7.2}×  (≤ {:.2}×: {verdict})",
            self.name,
            micros(self.bare),
            micros(self.aegis),
            self.ratio(),
            self.most,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Figure, Report, median};
    use std::time::Duration;

    fn report(aegis: u64) -> Report {
        let comparison = Comparison {
            name: "respond",
            bare: Duration::from_micros(10),
            aegis: Duration::from_micros(aegis),
            most: 1.3,
        };
        Report {
            comparisons: vec![comparison],
            figures: Vec::new(),
        }
    }

    #[test]
    fn the_median_is_the_middle_one() {
        let values = [9, 1, 5].map(Duration::from_micros);
        assert_eq!(median(values.to_vec()), Duration::from_micros(5));
    }

    #[test]
    fn a_ratio_is_good_up_to_what_it_should_be() {
        assert!(report(13).is_good());
        assert!(!report(14).is_good());
        let printed = report(14).to_string();
        assert!(
            printed.contains("10.0 µs    14.0 µs   1.40×  (≤ 1.30×: too much)"),
            "{printed}"
        );
    }

    #[test]
    fn a_figure_that_is_not_reached_spoils_the_report() {
        let mut report = report(13);
        report.figures.push(Figure {
            name: "rate_limit",
            measured: "612 admitted".to_owned(),
            promised: "600 ± 6".to_owned(),
            good: false,
        });
        assert!(!report.is_good());
        let printed = report.to_string();
        assert!(
            printed.ends_with("612 admitted  (600 ± 6: not reached)\n"),
            "{printed}"
        );
    }
}
