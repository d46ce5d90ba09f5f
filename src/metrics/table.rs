//! Macros that read a table, and write everything that follows from it. What they name is in scope in [`super`] alone.

use crate::words::Labelled;

/// A value that gives a metric one label, or several labels that belong together.
pub(crate) trait LabelSet: Copy + 'static {
    /// How many places its values take in a table.
    const COUNT: usize;

    /// The value at that place, if it can occur.
    fn at(place: usize) -> Option<Self>;

    /// The name and the value of each label. `name` is the column's, for a value that is one label.
    fn labels(self, name: &'static str) -> impl Iterator<Item = (&'static str, &'static str)>;

    /// What the value of each label means, in the order of [`Self::labels`].
    fn meanings(self) -> Vec<String>;
}

impl<T: Labelled> LabelSet for T {
    const COUNT: usize = T::ALL.len();

    fn at(place: usize) -> Option<Self> {
        T::ALL.get(place).copied()
    }

    fn labels(self, name: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        core::iter::once((name, self.label()))
    }

    fn meanings(self) -> Vec<String> {
        vec![self.meaning().to_owned()]
    }
}

/// A place in a table, which is taken apart from the front: first the row, then each value in it.
pub(super) struct Place {
    rest: usize,
    size: usize,
}

impl Place {
    pub(super) const fn new(place: usize) -> Self {
        Self { rest: place, size: 0 }
    }

    /// Whether it is in the next row, which has this size.
    pub(super) const fn is_in_row(&mut self, size: usize) -> bool {
        let is_in_row = self.rest < size;
        if is_in_row {
            self.size = size;
        } else {
            self.rest -= size;
        }
        is_in_row
    }

    /// The next value.
    pub(super) fn take<T: LabelSet>(&mut self) -> Option<T> {
        self.size /= T::COUNT;
        let value = T::at(self.rest.checked_div(self.size)?);
        self.rest %= self.size;
        value
    }
}

pub(super) const fn sum(sizes: &[usize]) -> usize {
    match sizes {
        [size, others @ ..] => *size + sum(others),
        [] => 0,
    }
}

/// Declares an enum whose variants hold values of closed sets, which makes it one itself: each value has a place of its
/// own, and there is a list of all. `if` names the values of a variant that can occur; the others only keep a place.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[$variant_meta:meta])*
                $variant:ident
                    $({ $($label:ident: $type:ty),+ $(,)? })?
                    $(( $($part:ident: $part_type:ty),+ ))?
                    $(if ($occurs:expr))?
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $(
                $(#[$variant_meta])*
                $variant
                    $({ $(#[doc = concat!("A value of [`", stringify!($type), "`].")] $label: $type),+ })?
                    $(( $($part_type),+ ))?
            ),+
        }

        impl $name {
            /// How many places each row takes.
            const SIZES: &'static [usize] =
                &[$(choices!(@size $($($type),+)? $($($part_type),+)?)),+];

            /// How many places there are.
            pub const COUNT: usize = sum(Self::SIZES);

            /// Its place, below [`Self::COUNT`], which no other value has.
            #[must_use]
            pub const fn index(self) -> usize {
                enum Row {
                    $($variant),+
                }
                match self {
                    $(Self::$variant $({ $($label),+ })? $(( $($part),+ ))? => {
                        let place = 0;
                        $($(let place = place * <$type as LabelSet>::COUNT + $label.index();)+)?
                        $($(let place = place * <$part_type as LabelSet>::COUNT + $part.index();)+)?
                        let before = const { sum(Self::SIZES.split_at(Row::$variant as usize).0) };
                        before + place
                    })+
                }
            }

            /// The value at that place, if it can occur.
            fn at(place: usize) -> Option<Self> {
                let mut place = Place::new(place);
                $(if place.is_in_row(choices!(@size $($($type),+)? $($($part_type),+)?)) {
                    $($(let $label = place.take::<$type>()?;)+)?
                    $($(let $part = place.take::<$part_type>()?;)+)?
                    $(if !$occurs { return None; })?
                    return Some(Self::$variant $({ $($label),+ })? $(( $($part),+ ))?);
                })+
                None
            }

            /// Every value that can occur.
            #[must_use]
            pub fn every() -> Vec<Self> {
                (0..Self::COUNT).filter_map(Self::at).collect()
            }
        }
    };

    (@size $($type:ty),*) => { 1 $(* <$type as LabelSet>::COUNT)* };
}

/// Declares an enum of series: the rows are what [`choices`] reads, each with its [`Metric`](super::Metric).
/// The comment at a row is what the reference says of the metric; the names of the values are the names of the labels.
macro_rules! series {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $meaning:literal])+
                $variant:ident $({ $($label:ident: $type:ty),+ $(,)? })? $(if ($occurs:expr))? = $metric:expr
            ),+ $(,)?
        }
    ) => {
        choices! {
            $(#[$meta])*
            $vis enum $name {
                $($(#[doc = $meaning])+ $variant $({ $($label: $type),+ })? $(if ($occurs))?),+
            }
        }

        impl $name {
            /// The metric that it is a series of.
            #[must_use]
            pub const fn metric(self) -> Metric {
                match self {
                    $(Self::$variant { .. } => Metric { meaning: concat!($($meaning),+).trim_ascii(), ..$metric }),+
                }
            }

            /// Its labels, in the order of its name.
            #[must_use]
            pub fn labels(self) -> Vec<Label> {
                let mut labels = Vec::new();
                match self {
                    $(Self::$variant $({ $($label),+ })? => {
                        $($(labels.extend(Label::of($label, stringify!($label)));)+)?
                    })+
                }
                labels
            }

            /// Whose series it is.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self {
                    $(Self::$variant { .. } => const { $metric.scope }),+
                }
            }

            // Without the rest of the metric, which the filter has no use for.
            const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => const { $metric.name }),+
                }
            }
        }

        /// The name of the stat: each label as `key=.=value;.;`, the form that Istio's tag extraction reads, then the
        /// metric.
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self {
                    $(Self::$variant $({ $($label),+ })? => {
                        $($(for (name, value) in $label.labels(stringify!($label)) {
                            write_label(name, value, f)?;
                        })+)?
                    })+
                }
                f.write_str(self.name())
            }
        }
    };
}

pub(super) use {choices, series};
