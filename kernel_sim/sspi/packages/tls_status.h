// The one place where what went wrong in TLS becomes a SECURITY_STATUS.
#pragma once

#include <sspi.h>

#include "kernel_sim/base/status.h"
#include "tls/handshake.h"
#include "tls/types.h"

namespace ktlsim::sspi {

// A fatal alert from the peer (schannel.h, "TLS1_ALERT": the documented table).
SECURITY_STATUS StatusOfReceivedAlert(tls::AlertDescription description);
// A record that could not be opened, by the alert the peer must be sent.
SECURITY_STATUS StatusOfRecordFailure(tls::AlertDescription description);
// A handshake that failed: by the alert received, else by what is wrong with the
// peer's certificate, else by `failure`.
SECURITY_STATUS StatusOfHandshakeFailure(const tls::StepResult& result);

}  // namespace ktlsim::sspi
