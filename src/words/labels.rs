/// A closed set of words.
pub trait Labelled: Copy + 'static {
    /// Every word, in order.
    const ALL: &'static [Self];

    /// How they are written.
    const LABELS: &'static [&'static str];

    /// What each means, for the references: its comment in the source.
    const MEANINGS: &'static [&'static str];

    /// The word as it is written.
    fn label(self) -> &'static str;

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
            const MEANINGS: &'static [&'static str] = &[$(concat!($($meaning),+).trim_ascii()),+];

            fn label(self) -> &'static str {
                self.label()
            }
        }
    )+};
}

pub(crate) use labels;
