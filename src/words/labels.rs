use core::fmt;

/// A closed set of words.
pub trait Labelled: Copy + 'static {
    /// Every word, in order.
    const ALL: &'static [Self];

    /// How they are written.
    const LABELS: &'static [&'static str];

    /// The word as it is written.
    fn label(self) -> &'static str;

    /// What it means, for the references: its comment in the source.
    fn meaning(self) -> &'static str;

    /// The one that is written so.
    fn of_label(label: &str) -> Option<Self> {
        Self::ALL.iter().find(|word| word.label() == label).copied()
    }
}

/// Declares enums whose values have labels: the words for them in metrics, configuration and documents.
macro_rules! labels {
    ($(
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[doc = $meaning:literal])+ $variant:ident = $label:literal),+ $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $($(#[doc = $meaning])+ $variant),+
        }

        impl $name {
            /// Every value, in order.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its place in [`Self::ALL`].
            #[must_use]
            $vis const fn index(self) -> usize {
                self as usize
            }

            /// The word for it.
            #[must_use]
            $vis const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label),+
                }
            }
        }

        impl $crate::words::Labelled for $name {
            const ALL: &'static [Self] = Self::ALL;
            const LABELS: &'static [&'static str] = &[$($label),+];

            fn label(self) -> &'static str {
                self.label()
            }

            fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => const { concat!($($meaning),+).trim_ascii() }),+
                }
            }
        }
    )+};
}

/// Makes [`labels`] errors, whose messages are their meanings.
macro_rules! errors {
    ($($name:ident),+) => {$(
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::words::write_clause($crate::words::Labelled::meaning(*self), f)
            }
        }

        impl core::error::Error for $name {}
    )+};
}

/// Writes a sentence as a part of another one.
pub(crate) fn write_clause(sentence: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (first, rest) = sentence.trim_end_matches('.').split_at_checked(1).unwrap_or_default();
    write!(f, "{}{rest}", first.to_ascii_lowercase())
}

pub(crate) use {errors, labels};
