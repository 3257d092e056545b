#!/bin/sh
# A trainer in plain sh and awk: no model, a loss that is a bowl in the learning rate.
# proxytune tells it where things are: $PROXYTUNE_SETTINGS and $PROXYTUNE_METRICS.
set -e
awk -v best=0.02 '
    function number(line) { sub(/.*: */, "", line); sub(/,.*/, "", line); return line + 0 }
    /"learning_rate":/ { rate = number($0) }
    /"evaluation_steps": \[/ { listing = 1; next }
    listing && /\]/ { listing = 0 }
    listing { steps[++count] = $0 + 0 }
    END {
        octaves = log(rate / best) / log(2)
        for (i = 1; i <= count; i++) {
            loss = 1 + 0.1 * octaves ^ 2 + 1 / steps[i]
            printf "{\"step\": %d, \"validation_loss\": %.9f, \"octaves\": %.6f}\n",
                steps[i], loss, octaves
        }
    }' "$PROXYTUNE_SETTINGS" >> "$PROXYTUNE_METRICS"
