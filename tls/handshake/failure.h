// Why a handshake failed, in plain words. The one table from OpenSSL's reasons to ours; every text
// is a literal. Private to this module.
#pragma once

#include <optional>

#include "kernel_sim/base/status.h"
#include "tls/types.h"

namespace ktlsim::tls {

// The cause of a failure according to this thread's OpenSSL error queue, which is drained.
// `received`, `sent`: the alerts that ended the connection, if any; `verify_error`: X509_V_*. The
// code is an alert's: the one received, else the one sent, but certificate_required for a missing
// certificate in every version. kResource: memory ran out, or OpenSSL failed internally, which has
// no other known cause.
Status DrainFailure(Role own_role, const std::optional<Alert>& received,
                    const std::optional<Alert>& sent, int verify_error);

// For OpenSSL's SSL_R_* reasons; nullptr for one without words of its own.
const char* ReasonText(int reason);

}  // namespace ktlsim::tls
