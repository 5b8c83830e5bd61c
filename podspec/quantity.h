// Resource quantities ("250m", "100Mi", "1e3", "0.5"), exact within the range Kubernetes allows
// (apimachinery/pkg/api/resource/quantity.go).
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct quantity {
    char *text;     // canonical form as Kubernetes prints it ("250m", "100Mi"); owned
    __int128 nanos; // the value in 10^-9 units
};

// 0, -EINVAL (not a quantity) or -ERANGE. `ret` is overwritten. Amounts finer than 10^-9 are
// rounded away from zero; those with a binary suffix are capped at 2^63-1 as in Kubernetes, others
// may be as large as 10^29.
int quantity_parse(const char *text, struct quantity *ret);
void quantity_clear(struct quantity *q);

// Rounds away from zero to whole thousandths, as Kubernetes does with every limit and request
// (pkg/apis/core/v1/defaults.go, SetDefaults_ResourceList).
void quantity_round_to_milli(struct quantity *q);

// Rounded away from zero, saturated to int64 (Quantity.Value() and MilliValue()).
int64_t quantity_value(const struct quantity *q);
int64_t quantity_milli_value(const struct quantity *q);
int quantity_compare(const struct quantity *a, const struct quantity *b); // <0, 0, >0
