# One line for one target, from libFuzzer's log.
/^#[0-9]+[ \t]/ { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") features = $(i + 1) } }
/^stat::number_of_executed_units:/ { runs = $2 }
/^stat::new_units_added:/ { found = $2 }
/panicked at|^SUMMARY:|^error/ && !what { what = $0; if ($0 ~ /panicked at/ && (getline > 0)) what = what " " $0 }
/Test unit written to/ { sub(/.*written to /, ""); unit = $0 }
END {
    printf "%s: %d runs, %d new inputs, %d edges, %d features, %s\n", target, runs, found, cov, features,
        failed ? "FAILED" : "no failure"
    if (failed) printf "  %s\n  input: %s\n", what, unit ? unit : "none; see target/fuzz/log/" target
}
