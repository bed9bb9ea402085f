// The one place where a failure in TLS becomes a SECURITY_STATUS.
#pragma once

#include <sspi.h>

#include "kernel_sim/base/status.h"
#include "tls/handshake/handshake.h"
#include "tls/record/record_writer.h"
#include "tls/types.h"

namespace ktlsim::sspi {

// A fatal alert from the peer (schannel.h, "TLS1_ALERT": the documented table).
SECURITY_STATUS StatusOfReceivedAlert(tls::AlertDescription description);
// A record that could not be opened, by the alert the peer must be sent.
SECURITY_STATUS StatusOfRecordFailure(tls::AlertDescription description);
// The result of a step of the handshake. For a failed one the alert received decides, else what is
// wrong with the peer's certificate, else `failure`.
SECURITY_STATUS StatusOfStep(const tls::StepResult& result);
// A record of data, or a KeyUpdate, that was to be sealed.
SECURITY_STATUS StatusOfSeal(tls::SealOutcome outcome);
// An alert that was to be sealed. SEC_E_ENCRYPT_FAILURE also where the writer is closed.
SECURITY_STATUS StatusOfAlertSeal(tls::SealOutcome outcome);
// SEC_E_INSUFFICIENT_MEMORY where memory was short, or `otherwise`.
SECURITY_STATUS MemoryOr(const Status& failure, SECURITY_STATUS otherwise);

}  // namespace ktlsim::sspi
