/// Declares settings. The comments are the texts of the reference: they are about configurations, not about code.
///
/// ```text
/// settings! {
///     /// What the object is about.
///     pub struct Name "Title in the reference", checked {
///         /// What the field means, such as `"an example"`.
///         pub field: Type = default,
///         /// …
///         pub other as "its name in JSON": Type | null = default,
///         /// …
///         pub required: Type,
///     } includes {
///         /// Fields that stand in the same object.
///         pub part: Type,
///     } apart {
///         /// What no configuration says.
///         pub unread: Type = value,
///     }
/// }
/// ```
///
/// If every field has a default, `} flattens {` does what `} includes {` does, and reads the part over its default.
///
/// `checked` marks types with [`Rules`](super::Rules) of their own, `| null` fields in which `null` means the default. An `enum` is a
/// choice: exactly one of its variants is stated, by the fields that it names.
macro_rules! settings {
    // A struct whose fields all have defaults: it is read over them.
    (
        $(#[doc = $meaning:literal])+
        $(#[derive($derive:ident)])?
        $vis:vis struct $name:ident $title:literal $(, $checked:ident)? {
            $(
                $(#[doc = $text:literal])+
                $field_vis:vis $field:ident $(as $json:literal)?: $type:ty $(| $null:ident)? = $default:expr,
            )+
        } $(flattens {
            $($(#[doc = $part_text:literal])+ $part_vis:vis $part:ident: $part_type:ty,)+
        })?
    ) => {
        $(#[doc = $meaning])+
        #[derive(Clone, $($derive,)? Debug, PartialEq)]
        $vis struct $name {
            $($(#[doc = $text])+ $field_vis $field: $type,)+
            $($($(#[doc = $part_text])+ $part_vis $part: $part_type,)+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ $($($part: Default::default(),)+)? }
            }
        }

        const _: () = {
            use $crate::settings::{Fields, Object, OverFields, Reader, Rules, Setting, Shape, Value, settings};

            settings!(@rules $name $($checked)?);

            impl Setting for $name {
                fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
                    let mut made = Self::default();
                    made.read(value, reader);
                    Some(made)
                }

                fn read(&mut self, value: &Value, reader: &mut Reader<'_>) {
                    let before = reader.faults();
                    let Some(mut fields) = reader.fields(value) else { return };
                    self.read_fields(&mut fields, reader);
                    fields.finish(reader);
                    if reader.faults() == before {
                        self.check(reader);
                    }
                }

                fn shape() -> Shape {
                    let mut object = Object::new($title, &[$($meaning),+]);
                    $($(object.include(<$part_type>::shape());)+)?
                    $(
                        let need = settings!(@need [$default] [$($null)?]);
                        object.add::<$type>(settings!(@name $field $($json)?), &[$($text),+], need, Some($default));
                    )+
                    Self::describe(&mut object);
                    Shape::Object(object)
                }
            }

            impl OverFields for $name {
                fn read_fields(&mut self, fields: &mut Fields<'_>, reader: &mut Reader<'_>) {
                    $($(self.$part.read_fields(fields, reader);)+)?
                    $(
                        let need = settings!(@need [$default] [$($null)?]);
                        fields.read(reader, settings!(@name $field $($json)?), need, &mut self.$field);
                    )+
                }
            }
        };
    };

    // A struct with required fields: it is only ever made of an object that has them.
    (
        $(#[doc = $meaning:literal])+
        $(#[derive($derive:ident)])?
        $vis:vis struct $name:ident $title:literal $(, $checked:ident)? {
            $(
                $(#[doc = $text:literal])+
                $field_vis:vis $field:ident $(as $json:literal)?: $type:ty $(| $null:ident)? $(= $default:expr)?,
            )*
        } $(includes {
            $($(#[doc = $part_text:literal])+ $part_vis:vis $part:ident: $part_type:ty,)+
        })? $(apart {
            $($(#[doc = $apart_text:literal])+ $apart_vis:vis $apart:ident: $apart_type:ty = $apart_value:expr,)+
        })?
    ) => {
        $(#[doc = $meaning])+
        #[derive(Clone, $($derive,)? Debug, PartialEq)]
        $vis struct $name {
            $($(#[doc = $text])+ $field_vis $field: $type,)*
            $($($(#[doc = $part_text])+ $part_vis $part: $part_type,)+)?
            $($($(#[doc = $apart_text])+ $apart_vis $apart: $apart_type,)+)?
        }

        const _: () = {
            use $crate::settings::{Draft, Fields, FromFields, Object, Reader, Rules, Setting, Shape, Value, settings};

            settings!(@rules $name $($checked)?);

            impl FromFields for $name {
                const NAMES: &'static [&'static str] = &[$(settings!(@name $field $($json)?)),*];

                fn from_fields(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                    $(
                        let need = settings!(@need [$($default)?] [$($null)?]);
                        let mut $field = Draft::<$type>(settings!(@default $($default)?));
                        fields.read(reader, settings!(@name $field $($json)?), need, &mut $field);
                    )*
                    $($(let $part = <$part_type>::from_fields(fields, reader);)+)?
                    Some(Self {
                        $($field: $field.0?,)*
                        $($($part: $part?,)+)?
                        $($($apart: $apart_value,)+)?
                    })
                }
            }

            impl Setting for $name {
                fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
                    let before = reader.faults();
                    let mut fields = reader.fields(value)?;
                    let made = Self::from_fields(&mut fields, reader);
                    fields.finish(reader);
                    let made = made?;
                    if reader.faults() == before {
                        made.check(reader);
                    }
                    Some(made)
                }

                fn shape() -> Shape {
                    let mut object = Object::new($title, &[$($meaning),+]);
                    $(
                        let need = settings!(@need [$($default)?] [$($null)?]);
                        let default = settings!(@default $($default)?);
                        object.add::<$type>(settings!(@name $field $($json)?), &[$($text),+], need, default);
                    )*
                    $($(object.include(<$part_type>::shape());)+)?
                    Self::describe(&mut object);
                    Shape::Object(object)
                }
            }
        };
    };

    // A type of its own for what is read as another one.
    ($(#[$meta:meta])+ $vis:vis struct $name:ident($type:ty);) => {
        $(#[$meta])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name($type);

        const _: () = {
            use $crate::settings::{Reader, Setting, Shape, Value};

            impl Setting for $name {
                fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
                    Setting::make(value, reader).map(Self)
                }

                fn shape() -> Shape {
                    <$type>::shape()
                }

                fn value(&self) -> Value {
                    self.0.value()
                }
            }
        };
    };

    // A choice.
    (
        $(#[doc = $meaning:literal])+
        $vis:vis enum $name:ident $title:literal {
            $(
                $(#[doc = $text:literal])+
                $variant:ident $(($type:ty) = $json:literal)? $((..$part:ty))?,
            )+
        }
    ) => {
        $(#[doc = $meaning])+
        #[derive(Clone, Debug, PartialEq)]
        $vis enum $name {
            $($(#[doc = $text])+ $variant $(($type))? $(($part))?,)+
        }

        const _: () = {
            use $crate::settings::{Draft, Fields, FromFields, Need, Object, Reader, Setting, Shape, Value};

            const FORMS: &[&[&str]] = &[$($(&[$json])? $(<$part>::NAMES)?),+];

            impl FromFields for $name {
                const NAMES: &'static [&'static str] = &[];

                fn from_fields(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                    let (mut made, mut stated) = (None, 0);
                    $(
                        $(if fields.state(&[$json]) {
                            let mut draft = Draft::<$type>(None);
                            fields.read(reader, $json, Need::Optional, &mut draft);
                            made = draft.0.map(Self::$variant);
                            stated += 1;
                        })?
                        $(if fields.state(<$part>::NAMES) {
                            let part = <$part>::from_fields(fields, reader);
                            part.iter().for_each(|part| $crate::settings::Rules::check(part, reader));
                            made = part.map(Self::$variant);
                            stated += 1;
                        })?
                    )+
                    fields.expect_one(reader, stated, FORMS);
                    made
                }
            }

            impl Setting for $name {
                fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
                    let mut fields = reader.fields(value)?;
                    let made = Self::from_fields(&mut fields, reader);
                    fields.finish(reader);
                    made
                }

                fn shape() -> Shape {
                    let mut object = Object::new($title, &[$($meaning),+]);
                    $(
                        let text: &[&str] = &[$($text),+];
                        $(object.offer::<$type>($json, text);)?
                        $(object.offer_all(<$part>::shape(), text);)?
                    )+
                    object.forms = FORMS.to_vec();
                    Shape::Object(object)
                }
            }
        };
    };

    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $json:literal) => { $json };

    (@need [] []) => { $crate::settings::Need::Required };
    (@need [$default:expr] []) => { $crate::settings::Need::Optional };
    (@need [$default:expr] [null]) => { $crate::settings::Need::OrNull };

    (@default) => { None };
    (@default $default:expr) => { Some($default) };

    (@rules $name:ident) => { impl $crate::settings::Rules for $name {} };
    (@rules $name:ident checked) => {};
}

pub(crate) use settings;
