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
/// `checked` marks types that have [`Rules`](super::Rules), `| null` fields in which `null` means the default. An `enum` is a
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

        impl $crate::settings::Setting for $name {
            fn make(value: &$crate::settings::Value, reader: &mut $crate::settings::Reader<'_>) -> Option<Self> {
                let mut made = Self::default();
                made.read(value, reader);
                Some(made)
            }

            fn read(&mut self, value: &$crate::settings::Value, reader: &mut $crate::settings::Reader<'_>) {
                let before = reader.faults();
                let Some(mut fields) = reader.fields(value) else { return };
                $crate::settings::OverFields::read_fields(self, &mut fields, reader);
                fields.finish(reader);
                if reader.faults() == before {
                    $crate::settings::settings!(@check $name, self, reader $(, $checked)?);
                }
            }

            fn shape() -> $crate::settings::Shape {
                let mut object = $crate::settings::Object::new($title, &[$($meaning),+]);
                $($(object.include(<$part_type as $crate::settings::Setting>::shape());)+)?
                $(
                    let need = $crate::settings::settings!(@need [$default] [$($null)?]);
                    let name = $crate::settings::settings!(@name $field $($json)?);
                    object.add::<$type>(name, &[$($text),+], need, Some($default));
                )+
                $crate::settings::settings!(@describe $name, object $(, $checked)?);
                $crate::settings::Shape::Object(object)
            }
        }

        impl $crate::settings::OverFields for $name {
            fn read_fields(
                &mut self,
                fields: &mut $crate::settings::Fields<'_>,
                reader: &mut $crate::settings::Reader<'_>,
            ) {
                $($($crate::settings::OverFields::read_fields(&mut self.$part, fields, reader);)+)?
                $(
                    let need = $crate::settings::settings!(@need [$default] [$($null)?]);
                    fields.read(
                        reader,
                        $crate::settings::settings!(@name $field $($json)?),
                        need,
                        &mut self.$field,
                    );
                )+
            }
        }
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

        impl $crate::settings::FromFields for $name {
            const NAMES: &'static [&'static str] =
                &[$($crate::settings::settings!(@name $field $($json)?)),*];

            fn from_fields(
                fields: &mut $crate::settings::Fields<'_>,
                reader: &mut $crate::settings::Reader<'_>,
            ) -> Option<Self> {
                $(
                    let need = $crate::settings::settings!(@need [$($default)?] [$($null)?]);
                    let name = $crate::settings::settings!(@name $field $($json)?);
                    let mut $field: $crate::settings::Draft<$type> =
                        $crate::settings::Draft($crate::settings::settings!(@default $($default)?));
                    fields.read(reader, name, need, &mut $field);
                )*
                $($(let $part = <$part_type as $crate::settings::FromFields>::from_fields(fields, reader);)+)?
                Some(Self {
                    $($field: $field.0?,)*
                    $($($part: $part?,)+)?
                    $($($apart: $apart_value,)+)?
                })
            }
        }

        impl $crate::settings::Setting for $name {
            fn make(value: &$crate::settings::Value, reader: &mut $crate::settings::Reader<'_>) -> Option<Self> {
                let before = reader.faults();
                let mut fields = reader.fields(value)?;
                let made = <Self as $crate::settings::FromFields>::from_fields(&mut fields, reader);
                fields.finish(reader);
                let made = made?;
                if reader.faults() == before {
                    $crate::settings::settings!(@check $name, &made, reader $(, $checked)?);
                }
                Some(made)
            }

            fn shape() -> $crate::settings::Shape {
                let mut object = $crate::settings::Object::new($title, &[$($meaning),+]);
                $(
                    let need = $crate::settings::settings!(@need [$($default)?] [$($null)?]);
                    let name = $crate::settings::settings!(@name $field $($json)?);
                    let default = $crate::settings::settings!(@default $($default)?);
                    object.add::<$type>(name, &[$($text),+], need, default);
                )*
                $($(object.include(<$part_type as $crate::settings::Setting>::shape());)+)?
                $crate::settings::settings!(@describe $name, object $(, $checked)?);
                $crate::settings::Shape::Object(object)
            }
        }
    };

    // A list of its own.
    ($(#[doc = $meaning:literal])+ $vis:vis struct $name:ident($type:ty);) => {
        $(#[doc = $meaning])+
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name($type);

        impl $crate::settings::Setting for $name {
            fn make(value: &$crate::settings::Value, reader: &mut $crate::settings::Reader<'_>) -> Option<Self> {
                $crate::settings::Setting::make(value, reader).map(Self)
            }

            fn shape() -> $crate::settings::Shape {
                <$type as $crate::settings::Setting>::shape()
            }

            fn value(&self) -> $crate::settings::Value {
                self.0.value()
            }
        }
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

        impl $name {
            const FORMS: &'static [&'static [&'static str]] =
                &[$($(&[$json])? $(<$part as $crate::settings::FromFields>::NAMES)?),+];
        }

        impl $crate::settings::FromFields for $name {
            const NAMES: &'static [&'static str] = &[];

            fn from_fields(
                fields: &mut $crate::settings::Fields<'_>,
                reader: &mut $crate::settings::Reader<'_>,
            ) -> Option<Self> {
                let (mut made, mut stated) = (None, 0);
                $(
                    $(if fields.state(&[$json]) {
                        let mut draft = $crate::settings::Draft::<$type>(None);
                        fields.read(reader, $json, $crate::settings::Need::Optional, &mut draft);
                        made = draft.0.map(Self::$variant);
                        stated += 1;
                    })?
                    $(if fields.state(<$part as $crate::settings::FromFields>::NAMES) {
                        made = <$part as $crate::settings::FromFields>::from_fields(fields, reader)
                            .map(Self::$variant);
                        stated += 1;
                    })?
                )+
                fields.expect_one(reader, stated, Self::FORMS);
                made
            }
        }

        impl $crate::settings::Setting for $name {
            fn make(value: &$crate::settings::Value, reader: &mut $crate::settings::Reader<'_>) -> Option<Self> {
                let mut fields = reader.fields(value)?;
                let made = <Self as $crate::settings::FromFields>::from_fields(&mut fields, reader);
                fields.finish(reader);
                made
            }

            fn shape() -> $crate::settings::Shape {
                let mut object = $crate::settings::Object::new($title, &[$($meaning),+]);
                $(
                    let text: &[&str] = &[$($text),+];
                    $(object.offer::<$type>($json, text);)?
                    $(object.offer_all(<$part as $crate::settings::Setting>::shape(), text);)?
                )+
                object.forms = Self::FORMS.to_vec();
                $crate::settings::Shape::Object(object)
            }
        }
    };

    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $json:literal) => { $json };

    (@need [] []) => { $crate::settings::Need::Required };
    (@need [$default:expr] []) => { $crate::settings::Need::Optional };
    (@need [$default:expr] [null]) => { $crate::settings::Need::OrNull };

    (@default) => { None };
    (@default $default:expr) => { Some($default) };

    (@check $name:ident, $made:expr, $reader:ident) => {};
    (@check $name:ident, $made:expr, $reader:ident, checked) => {
        <$name as $crate::settings::Rules>::check($made, $reader)
    };

    (@describe $name:ident, $object:ident) => {};
    (@describe $name:ident, $object:ident, checked) => {
        <$name as $crate::settings::Rules>::describe(&mut $object)
    };
}

pub(crate) use settings;
