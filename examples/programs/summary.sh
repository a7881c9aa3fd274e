#!/bin/sh
# Makes numbers and curves of another program's log: what it needs comes in environment variables.
set -eu
log="$ABLATE_INPUT_NET/log.csv"

awk -F, 'NR > 1 { epochs = $1; test = $3 } END {
    printf "{ \"test_loss\": { \"value\": %.9g, \"better\": \"lower\" }, \"epochs\": %d }\n", test, epochs
}' "$log" > "$ABLATE_OUT/metrics.json"

awk -F, 'NR > 1 { x = x (x ? "," : "") $1; y = y (y ? "," : "") $2 } END {
    printf "{ \"loss\": { \"x\": [%s], \"y\": [%s], \"x_unit\": \"epoch\" } }\n", x, y
}' "$log" > "$ABLATE_OUT/series.json"
