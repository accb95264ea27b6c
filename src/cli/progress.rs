//! How far the reading is, on a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::source::files::Progress;

/// Redraws a second: enough to look alive.
const REDRAWS: u8 = 5;

/// A bar on stderr, or nothing where that is no terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar, if it is wanted and there is a terminal to draw it on.
    pub fn new(is_wanted: bool) -> Bar {
        // Rows that scroll by on the same terminal would tear the bar.
        if !is_wanted || !io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length().with_style(style("{decimal_bytes} read"));
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        Bar(bar)
    }

    /// Shows how far the reading is.
    pub fn show(&self, progress: Progress) {
        if self.0.length().is_none()
            && let Some(total) = progress.total
        {
            self.0.set_length(total);
            let template = "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} left";
            self.0.set_style(style(template));
        }
        self.0.set_position(progress.read);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are well formed")
}
