//! Errors: the filter refuses the configuration, or nothing can be judged.

use super::{Code, Example, Severity, codes};

codes! {
    CANNOT_READ = "TW0001" Error "A file cannot be read" {
        meaning: "The file or directory is not there, may not be read, or is no text in UTF-8. Everything else is judged all the \
                  same. The exit status is 2.",
        example: Arguments("check no-such-file.yaml"),
        fix: "Name a file or a directory that this user can read. Convert a file in UTF-16, such as one that PowerShell wrote.",
    }
    NOTHING_FOUND = "TW0002" Error "There is no filter of Tracewarden" {
        meaning: "The input was understood, and no document of it has a filter of Tracewarden. The message says how many documents \
                  were passed over. The exit status is 2. [Which plugins are judged](check.md#which-plugins-are-judged) says how \
                  one is recognised.",
        example: Yaml(include_str!("examples/TW0002.yaml")),
        fix: "Check the file that has the filter. A plugin by another name is recognised if its image, its `root_id` or its own name \
              has `tracewarden` in it.",
    }
    SYNTAX = "TW0101" Error "The text is neither JSON nor YAML" {
        meaning: "The text cannot be read at all. The filter itself reads JSON: a text in Envoy's `configuration` has no comments and \
                  no comma before a closing bracket. A file whose name ends in `.json` must be JSON too.",
        example: Json("{\"role\": \"edge\",}\n"),
        fix: "Correct the line. In YAML, look at the indentation of the line and of the one before it.",
    }
    UNKNOWN_FIELD = "TW0102" Error "No field has this name" {
        meaning: "The filter refuses fields that it does not know, so that a misspelt one is not taken for a default.",
        example: Json("{\"moed\": \"observe\"}\n"),
        fix: "The message names the field that was probably meant, or those that are possible there. \
              [Configuration](configuration.md) has all of them. A field of a later version is unknown to this one.",
    }
    DUPLICATE_FIELD = "TW0103" Error "A field is there twice" {
        meaning: "An object has two fields of one name. Programs differ in which of them counts, so the filter takes neither.",
        example: Json("{\"role\": \"internal\", \"role\": \"internal\"}\n"),
        fix: "Remove one of the two. The line is that of the later one.",
    }
    MISSING_FIELD = "TW0104" Error "A field is missing" {
        meaning: "An object is there without a field that it needs.",
        example: Yaml(include_str!("examples/TW0104.yaml")),
        fix: "Add the field that the message names.",
    }
    WRONG_TYPE = "TW0105" Error "A value is of another type" {
        meaning: "There is a text where a number is expected, one value where a list is expected, or the like.",
        example: Json("{\"sampling\": {\"probability\": \"0.1\"}}\n"),
        fix: "Write what the message expects. A number and `true` have no quotes; a list has brackets even with one item.",
    }
    UNKNOWN_WORD = "TW0106" Error "The field does not know this word" {
        meaning: "The field takes one of a few words, and this is none of them. Upper and lower case differ.",
        example: Json("{\"role\": \"Edge\"}\n"),
        fix: "Take one of the words that the message lists.",
    }
    OUT_OF_RANGE = "TW0107" Error "A number is too small or too large" {
        meaning: "The number is outside of the range that the message states.",
        example: Json("{\"sampling\": {\"probability\": 10}}\n"),
        fix: "Take a number of that range. A probability is a share: 10 % is `0.1`.",
    }
    MALFORMED = "TW0108" Error "A text has the wrong form" {
        meaning: "The field takes a text of a certain form, such as a header's name or an address range.",
        example: Json("{\"header\": \"trace parent\"}\n"),
        fix: "The message says which form. [Configuration](configuration.md) has an example for each field.",
    }
    CONFLICT = "TW0109" Error "Fields do not fit together" {
        meaning: "Each field is right on its own, and together they mean nothing.",
        example: Json("{\"sampling\": {\"errors_per_second\": 5}}\n"),
        fix: "The message names a field and what it must be, given the others.",
    }
    VARIABLE = "TW0110" Error "An environment variable is missing or wrong" {
        meaning: "A variable of Tracewarden's own has a value that cannot be read. Or the configuration names the variable of a secret, \
                  and that is not set. [Variables](check.md#variables) says where variables come from.",
        example: Yaml(include_str!("examples/TW0110.yaml")),
        fix: "Correct the value. A secret that the VM inherits can have any value where the file is checked: \
              `TRACE_FORCE_SECRET=any tracewarden check …`.",
    }
    ON_BAD_CONFIG = "TW0111" Error "`TRACEWARDEN_ON_BAD_CONFIG` is neither `refuse` nor `bypass`" {
        meaning: "The variable says what happens with a bad configuration. Another word in it is refused itself, whatever the \
                  configuration is: a static Envoy ends, and an Istio proxy answers 500 when it next starts.",
        example: Yaml(include_str!("examples/TW0111.yaml")),
        fix: "Write `bypass`, as the manifests do, or `refuse`, or leave it out.",
    }
    EMPTY = "TW0112" Error "The input is empty" {
        meaning: "There is no document in it: a pipe whose first command failed, or a file that was never written. An empty \
                  configuration inside of a plugin is another thing, and valid: it has every default.",
        example: Json(""),
        fix: "Look at the command that should have written it. For a configuration with every default write `{}`.",
    }
    UNREADABLE_TYPE = "TW0113" Error "The filter cannot read this type of configuration" {
        meaning: "Envoy's `configuration` can hold any message. Only the text of a `google.protobuf.StringValue` and the bytes of a \
                  `google.protobuf.BytesValue` reach the filter as they are. A `google.protobuf.Struct` comes in protobuf's own \
                  form, and the filter refuses it (tried with Envoy 1.40.0).",
        example: Yaml(include_str!("examples/TW0113.yaml")),
        fix: "Write the configuration as text in a `StringValue`: `value: '{\"role\": \"internal\"}'`.",
    }
    REFUSED = "TW0114" Error "Envoy refused a configuration" {
        meaning: "A `config_dump` has an `error_state`: Envoy refused a listener, a route configuration or a discovered filter. The \
                  message has Envoy's reason, and says whether an earlier version runs. Of a discovered filter Envoy 1.40.0 shows what it \
                  received last, refused or not, and no `error_state`: a fault in its configuration is reported all the same.",
        example: Yaml(include_str!("examples/TW0114.yaml")),
        fix: "Correct the resource. Envoy's log has a line for each fault of the filter's configuration.",
    }
}
