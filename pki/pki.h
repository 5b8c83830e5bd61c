// The face of the room: keys, CAs, certificates and kubeconfigs of a control plane.
#pragma once

#include "pki/certificate.h"
#include "pki/key.h"
#include "pki/kubeconfig.h"
#include "pki/layout.h"
#include "pki/replace.h"
