// Resource quantities ("250m", "100Mi", "1e3", "0.5"), exact within the range Kubernetes allows
// (apimachinery/pkg/api/resource/quantity.go).
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct quantity {
    char *text;     // canonical form as Kubernetes prints it ("250m", "100Mi"); owned
    __int128 nanos; // the value in 10^-9 units
};

// 0, -EINVAL (not a quantity) or -ERANGE. `ret` is overwritten.
int quantity_parse(const char *text, struct quantity *ret);
void quantity_clear(struct quantity *q);

// Rounded up, saturated to int64 (Quantity.Value() and MilliValue()).
int64_t quantity_value(const struct quantity *q);
int64_t quantity_milli_value(const struct quantity *q);
int quantity_compare(const struct quantity *a, const struct quantity *b); // <0, 0, >0
