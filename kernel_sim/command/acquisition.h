// Credentials acquired and freed as a caller in kernel mode does it: asynchronously, with a
// notification (SspiAcquireCredentialsHandleAsync, SspiFreeCredentialsHandleAsync). Here the caller
// has nothing else to do and waits for it. Where a queue is full, or the library has stopped, the
// call is made on this thread instead.
#pragma once

#include <sspi.h>

namespace ktlsim::command {

// Which threads run the callbacks from now on, KTLSIM_NOTIFY_*: what the process has chosen for all
// of its calls. Any thread.
void SetAcquisitionNotifyMode(ULONG mode);

// A handle of the TLS package; `use` is SECPKG_CRED_*. `auth` is a SCH_CREDENTIALS. If it fails,
// KtlsimLastErrorText has the reason. Passive level.
SECURITY_STATUS AcquireAndWait(ULONG use, void* auth, CredHandle* handle);
// Also where the library has stopped. Passive level.
void FreeAndWait(const CredHandle& handle);

}  // namespace ktlsim::command
