// Whether anything listens where a URL points to, without a word said to it.
#pragma once

#include "base/error.h"

// 0: a connection was made, and closed again. -ECONNREFUSED: nothing listens there. Another
// negative errno: that could not be learned in timeout_msec.
int etcd_reach(const char *url, int timeout_msec, struct error *err);
