//! Whether there is colour.

use anstream::ColorChoice;
use clap::ValueEnum;

/// When there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR or CLICOLOR say otherwise.
    Auto,
    /// Everywhere, files included.
    Always,
    /// Nowhere.
    Never,
}

impl When {
    /// Makes this hold for all that is written from here on.
    pub fn settle(self) {
        let choice = match self {
            When::Auto => ColorChoice::Auto,
            When::Always => ColorChoice::Always,
            When::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}
