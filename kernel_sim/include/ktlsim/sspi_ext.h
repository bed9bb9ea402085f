/// @file
/// Extensions of ktlsim. Nothing in this file exists on Windows, apart from the two Cert functions.
///
/// C linkage; errors are statuses. A program need not call KtlsimStart: the first call that needs
/// the running library starts it with the defaults.
#pragma once

#include <schannel.h>
#include <sspi.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Start and stop ----------------------------------------------------------------------------

#define KTLSIM_PLACEMENT_INLINE 0  // handshake legs run on the processor that owns the connection
#define KTLSIM_PLACEMENT_POOL 1    // handshake legs run on separate crypto processors

#define KTLSIM_PIN_PROCESSORS 1   // fFlags: bind each processor to a core
#define KTLSIM_TIME_EVERY_CALL 2  // fFlags: the histograms count every call, not one in 64
#define KTLSIM_IMPERSONATE_OS 4   // fFlags: real impersonation, see below

typedef struct _KtlsimOptions {
  ULONG cbSize;             // sizeof(KtlsimOptions)
  ULONG cProcessors;        // 0: one per core
  ULONG Placement;          // KTLSIM_PLACEMENT_*
  ULONG cCryptoProcessors;  // pool only; 0: as many as processors
  ULONG QueueDepth;         // calls per processor; 0: 4096
  ULONG NotifyThreadsMax;   // 0: 256
  ULONG fFlags;           // KTLSIM_PIN_PROCESSORS | KTLSIM_TIME_EVERY_CALL | KTLSIM_IMPERSONATE_OS
  ULONG cReceiveBuffers;  // provided buffers per processor; 0: default
  const char* pszProcessorRoles;  // comma list of names, processor i has role i mod n; NULL: none
  ULONG QueueWaitLimitMs;         // how long a call may wait in a queue; 0: no limit
} KtlsimOptions, *PKtlsimOptions;

/// Starts with `options`, or with the defaults for NULL; keeps nothing of the caller's. Never waits
/// for a KtlsimStop.
///
/// With KTLSIM_IMPERSONATE_OS a thread that impersonates acts as the client for the operating
/// system, too: with the Unix user and the groups of the client's account (unix-user in the file of
/// KtlsimLoadAccounts), or as uid 65534 where it has none, is anonymous, or may only be identified;
/// and with no capability in effect. So an open() is judged by the client's rights. Only the
/// calling thread changes. It is the process again when it reverts; where it cannot return, the
/// process ends. A failed impersonation leaves the thread as the process. At dispatch level, on a
/// processor, the thread keeps the process's rights, and so does everything that acts as nobody.
/// Needs CAP_SETUID and CAP_SETGID, and not from the program's file (setcap; AT_SECURE is set
/// then): everybody who may run it would have them. It stays in force until a KtlsimStart without
/// the flag. What a program has to know: PR_SET_DUMPABLE becomes fs.suid_dumpable, so that with 0
/// or 2 the process cannot be traced by its user, and dumps its memory not at all (0) or for root
/// only (2); PR_SET_PDEATHSIG is forgotten; a thread or process that is started while impersonating
/// begins as the client (revert before that), and such a process can return to the real ids, which
/// are this process's, with all capabilities if they are root's; and nobody else may change ids,
/// groups or capabilities of the process from the first start on.
///
/// Level: passive; any thread, also while other threads call any function. Returns: SEC_E_OK;
/// SEC_E_NO_IMPERSONATION: KTLSIM_IMPERSONATE_OS, and the process may not take on another user;
/// SEC_E_INVALID_PARAMETER: a bad cbSize or value, or already started; SEC_E_SHUTDOWN_IN_PROGRESS:
/// another thread is in KtlsimStop, which may wait for the callback that this is called in;
/// SEC_E_INTERNAL_ERROR: io_uring cannot be used; SEC_E_INSUFFICIENT_MEMORY: also when there are no
/// more threads. After a failure nothing runs that did not run before. KtlsimLastErrorText has the
/// reason.
KTLSIM_API SECURITY_STATUS KtlsimStart(const KtlsimOptions* options);

/// Admits no further calls, ends those that are suspended (SEC_E_SHUTDOWN_IN_PROGRESS) and logons
/// in progress (LogonUser, ERROR_NO_LOGON_SERVERS), waits until every accepted one has completed
/// and its callback has returned, then ends all threads. Calls that other threads make meanwhile
/// are accepted and waited for, or refused with SEC_E_SHUTDOWN_IN_PROGRESS; one that is still on
/// its way in at the next KtlsimStart may be accepted then. Handles outlive the stop. A second
/// KtlsimStop on another thread waits for the end of the first one. Level: passive. Returns:
/// SEC_E_OK, also when not started; SEC_E_INVALID_PARAMETER: inside a callback or a visit of
/// KtlsimForEachProcessor.
KTLSIM_API SECURITY_STATUS KtlsimStop(void);

/// Why this thread's last call failed, in plain words, without a full stop; empty when it did not.
/// Every function of these headers sets it. One that fails sets it to the reason, or to
/// KtlsimStatusText of its status where no better reason is known. One that succeeds empties it;
/// SEC_I_ statuses and SEC_E_INCOMPLETE_MESSAGE count as success here. Only functions that cannot
/// fail (no result, or always the same one) and those of the section "Statuses in words" leave it
/// alone. An asynchronous function sets it for its submission, and SspiGetAsyncCallStatus for the
/// outcome. The address is the same for the life of a thread; the next call writes there, so it is
/// safe as an argument beside the call itself. At most 510 bytes, nothing is allocated.
/// Level: any. Returns: never NULL.
KTLSIM_API const char* KtlsimLastErrorText(void);

// ---- Bounds ------------------------------------------------------------------------------------
//
// How much one call reads of its caller's memory before it is queued (async_functions.h).

#define KTLSIM_NAME_UNITS_MAX 1024  // char or WCHAR of a package, target or principal name
#define KTLSIM_BUFFERS_MAX 4096     // SecBufferDesc.cBuffers

// ---- Statuses in words -------------------------------------------------------------------------
//
// Any level; they start nothing. The texts are literals: they live as long as the library.

/// The name of a status that the headers define, "SEC_E_UNTRUSTED_ROOT"; the first one where
/// several names have one number.
/// Level: any. Returns: NULL for any other number.
KTLSIM_API const char* KtlsimStatusName(SECURITY_STATUS status);
/// What the status means, in a phrase without a full stop.
/// Level: any. Returns: never NULL.
KTLSIM_API const char* KtlsimStatusText(SECURITY_STATUS status);
/// The status of a name, without regard to case.
/// Level: any. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: NULL, or a name that the headers do not
/// define.
KTLSIM_API SECURITY_STATUS KtlsimStatusFromName(const char* name, SECURITY_STATUS* status);

// ---- Messages, asynchronously ------------------------------------------------------------------
//
// The contract of the Async functions in sspi.h, with the outcome and the buffer rules of
// EncryptMessage and DecryptMessage. The descriptor, its buffers and `pfQOP` belong to the library
// until the callback. Both need a callback. Any level up to dispatch.
//
// Several records per call, here and in the functions without Async: several {STREAM_HEADER, DATA,
// STREAM_TRAILER} are several records, all of them sealed or, when one is refused for its size or
// the key's limit, none; 3n EMPTY buffers beside the DATA let DecryptMessage open up to n records,
// and what it did not open is EXTRA after the last.

/// EncryptMessage, queued in the record lane.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (async_functions.h).
/// Outcome: as EncryptMessage.
KTLSIM_API SECURITY_STATUS SspiEncryptMessageAsync(SspiAsyncContext* AsyncContext,
                                                   PCtxtHandle phContext, ULONG fQOP,
                                                   PSecBufferDesc pMessage, ULONG MessageSeqNo);
/// DecryptMessage, queued in the record lane. `pfQOP` belongs to the library until the callback,
/// too.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (async_functions.h).
/// Outcome: as DecryptMessage.
KTLSIM_OUT_API SECURITY_STATUS SspiDecryptMessageAsync(SspiAsyncContext* AsyncContext,
                                                       PCtxtHandle phContext,
                                                       PSecBufferDesc pMessage, ULONG MessageSeqNo,
                                                       KTLSIM_ULONG_OUT pfQOP);

// ---- Signatures, asynchronously ----------------------------------------------------------------
//
// For packages whose answer may have to wait, for a store that several machines share or for a
// verifier. The contract of the Async functions in sspi.h: the synchronous function without the
// wait, with the same parameters after the async context. Both need a callback.
//
// A call that waits is suspended: it keeps its place among the calls of its security context, and
// no thread. It ends when what it waits for has come, and at the limit of its package at the
// latest, with the package's status for that (SEC_E_NO_AUTHENTICATING_AUTHORITY). KtlsimStop ends
// it as SEC_E_SHUTDOWN_IN_PROGRESS. KtlsimCancelAsyncCall is too late for it.

/// CompleteAuthToken, queued. The descriptor and its buffers belong to the library until the
/// callback.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; SEC_E_INVALID_PARAMETER: also when `pToken` is
/// NULL or has too many buffers; a status of a submission (async_functions.h). Outcome: as
/// CompleteAuthToken; SEC_E_SHUTDOWN_IN_PROGRESS; KTLSIM_E_CANCELLED; KTLSIM_E_QUEUE_TIMEOUT.
KTLSIM_API SECURITY_STATUS SspiCompleteAuthTokenAsync(SspiAsyncContext* AsyncContext,
                                                      PCtxtHandle phContext, PSecBufferDesc pToken);
/// VerifySignature, queued. The descriptor, its buffers and `pfQOP` belong to the library until the
/// callback; `pfQOP` is written on success only.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; SEC_E_UNSUPPORTED_FUNCTION: the package signs
/// nothing (TLS); SEC_E_INVALID_PARAMETER: also when `pMessage` is NULL or has too many buffers; a
/// status of a submission (async_functions.h). Outcome: as VerifySignature;
/// SEC_E_SHUTDOWN_IN_PROGRESS; KTLSIM_E_CANCELLED; KTLSIM_E_QUEUE_TIMEOUT.
KTLSIM_OUT_API SECURITY_STATUS SspiVerifySignatureAsync(SspiAsyncContext* AsyncContext,
                                                        PCtxtHandle phContext,
                                                        PSecBufferDesc pMessage, ULONG MessageSeqNo,
                                                        KTLSIM_ULONG_OUT pfQOP);

// Outcomes of our own; the customer bit keeps them apart from every code of Microsoft's.
#define KTLSIM_E_CANCELLED ((SECURITY_STATUS)0xA0090001)
#define KTLSIM_E_QUEUE_TIMEOUT ((SECURITY_STATUS)0xA0090002)
// Returned by KtlsimCancelAsyncCall only; never an outcome.
#define KTLSIM_E_TOO_LATE ((SECURITY_STATUS)0xA0090003)

// ---- Notification ------------------------------------------------------------------------------

#define KTLSIM_NOTIFY_POOL 0          // passive level, on a notification thread; the default
#define KTLSIM_NOTIFY_ON_PROCESSOR 1  // dispatch level, on the submitting processor; must not block

/// Which thread runs the callbacks of the next submissions with this async context:
/// KTLSIM_NOTIFY_*.
/// Level: up to dispatch. Returns: SEC_E_OK; SEC_E_INVALID_HANDLE; SEC_E_INVALID_PARAMETER: an
/// unknown mode, or a call is in flight.
KTLSIM_API SECURITY_STATUS KtlsimSetNotifyMode(SspiAsyncContext* AsyncContext, ULONG mode);

// ---- Calls that wait too long, and calls that are no longer wanted ------------------------------
//
// A call is queued from its acceptance to its first run: it waits for earlier calls in the lane of
// its processor, or for the call before it on the same security context. While it is queued it can
// end without having run, by a limit on waiting or by cancellation. Then its outcome is
// KTLSIM_E_QUEUE_TIMEOUT or KTLSIM_E_CANCELLED. Its callback comes once, like every other, and does
// not wait for earlier calls on the security context. Nothing of the caller's was written: buffers,
// descriptors, handles and attributes are as they were at submission. The security context has not
// changed, so the same call can be made again. A first leg leaves no security context.
//
// A call that has begun to run completes with its own outcome, also when it is suspended and waits
// for something; how long it may then wait is its package's limit. SspiDeleteSecurityContextAsync
// and SspiFreeCredentialsHandleAsync can be neither cancelled nor limited: their handle is dead
// from the submission on.

#define KTLSIM_NO_WAIT_LIMIT 0xFFFFFFFF

/// How long the next submissions with this async context may wait in a queue. 0: as long as
/// KtlsimOptions says; KTLSIM_NO_WAIT_LIMIT: without a limit.
/// Level: up to dispatch. Returns: SEC_E_OK; SEC_E_INVALID_HANDLE; SEC_E_INVALID_PARAMETER: a call
/// is in flight.
KTLSIM_API SECURITY_STATUS KtlsimSetQueueWaitLimit(SspiAsyncContext* AsyncContext,
                                                   ULONG milliseconds);

/// Cancels the call in flight with this async context. The callback does not run inside.
/// Level: up to dispatch; any thread, never blocks. Returns: SEC_E_OK: the call was queued and ends
/// as KTLSIM_E_CANCELLED; KTLSIM_E_TOO_LATE: it runs, is suspended, is a teardown, was cancelled
/// already, or has ended, and nothing changes; SEC_E_INVALID_PARAMETER: nothing was submitted since
/// creation or reinit; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS KtlsimCancelAsyncCall(SspiAsyncContext* AsyncContext);

// ---- Certificates ------------------------------------------------------------------------------

/// A certificate, its chain and its private key, from two PEM files: regular ones of at most 1 MiB,
/// read whole or not at all; one that changes while it is read is not readable. On success the
/// caller owns one reference to `*out`; on failure it is NULL.
/// Level: passive. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: a required pointer is NULL;
/// SEC_E_UNKNOWN_CREDENTIALS: not readable, not PEM, or certificate and key do not belong together;
/// SEC_E_INSUFFICIENT_MEMORY.
KTLSIM_API SECURITY_STATUS KtlsimLoadCertificate(const char* cert_pem_file,
                                                 const char* key_pem_file, PCCERT_CONTEXT* out);
/// The same from PEM text in memory.
/// Level: passive. Returns: as KtlsimLoadCertificate.
KTLSIM_API SECURITY_STATUS KtlsimLoadCertificatePem(const char* cert_pem, const char* key_pem,
                                                    PCCERT_CONTEXT* out);

// A bit of SCH_CREDENTIALS::dwFlags and SCHANNEL_CRED::dwFlags: the credential's own certificates
// are accepted although they have expired or are not valid yet, those of KTLSIM_ATTR_SERVER_NAMES
// too. Without it they are SEC_E_CERT_EXPIRED.
#define KTLSIM_CRED_ACCEPT_EXPIRED 0x40000000

#define KTLSIM_KEY_ECDSA_P256 0
#define KTLSIM_KEY_RSA_2048 1

/// For tests and trials: `subject_name` becomes the common name and the only subject alternative
/// name; `key_type` is KTLSIM_KEY_*.
/// Level: passive. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: a pointer is NULL, or a value is
/// unknown; SEC_E_INSUFFICIENT_MEMORY.
KTLSIM_API SECURITY_STATUS KtlsimCreateSelfSignedCertificate(const char* subject_name,
                                                             ULONG key_type, PCCERT_CONTEXT* out);

/// Adds a reference. NULL is accepted. The name is that of wincrypt.h.
/// Level: any. Returns: its argument.
KTLSIM_API PCCERT_CONTEXT CertDuplicateCertificateContext(PCCERT_CONTEXT pCertContext);
/// Drops a reference. NULL is accepted. The name is that of wincrypt.h.
/// Level: any. Returns: TRUE.
KTLSIM_API BOOL CertFreeCertificateContext(PCCERT_CONTEXT pCertContext);

// ---- Accounts ----------------------------------------------------------------------------------

/// Reads a file of accounts (TOML; kernel_sim/accounts/README.md has the format), at most 16 MiB.
/// From then on the names and passwords of LogonUser are its, and clients that TLS has
/// authenticated by their certificate, and Digest by its user, are mapped to its accounts:
/// ImpersonateSecurityContext and QuerySecurityContextToken. Another call puts another file, or the
/// same one as it is now, in its place: who is logged on or mapped keeps the token, logons in
/// progress go on with the accounts that they began with, and a client is mapped again by the next
/// call that authenticates it. NULL: there are no accounts any more, logons in progress end
/// (ERROR_NO_LOGON_SERVERS), and nobody is mapped.
///
/// KtlsimStop ends logons in progress, and none begins until KtlsimStart; the accounts stay. A
/// forked child has the accounts as they were, with sessions and delays of its own; the passwords
/// that sessions keep for the network stay with the parent.
/// Level: passive. Returns: SEC_E_OK; SEC_E_UNKNOWN_CREDENTIALS: the file cannot be read, or is no
/// file of accounts: KtlsimLastErrorText says where and what to do, and what counted before goes on
/// counting; SEC_E_UNSUPPORTED_FUNCTION: above passive level; SEC_E_INSUFFICIENT_MEMORY.
KTLSIM_API SECURITY_STATUS KtlsimLoadAccounts(const char* toml_file);

// ---- The audit trail ---------------------------------------------------------------------------

#define KTLSIM_AUDIT_COUNT 1    // fFlags: what finds no room is counted, and the access goes on
#define KTLSIM_AUDIT_NO_SYNC 2  // fFlags: what is written is not waited for until it is on the disk

typedef struct _KtlsimAuditTrail {
  ULONG cbSize;                // sizeof(KtlsimAuditTrail)
  ULONG fFlags;                // KTLSIM_AUDIT_*
  const char* pszLogFile;      // an existing one is continued
  const char* pszHeadFile;     // NULL: the log's name and ".head"
  const unsigned char* pbKey;  // the audit key; NULL: a trail that was begun is continued
  ULONG cbKey;                 // 32 to 4,096; 0 with NULL
  ULONG cQueue;                // records that may wait to be written, a power of two; 0: 4096
  ULONGLONG cbRotate;          // a file with so many bytes is rotated; 0: none is
} KtlsimAuditTrail, *PKtlsimAuditTrail;

/// Begins the audit trail of this process, or continues one: AccessCheckAndAuditAlarm and its kin
/// (ktlsim/security.h) write to it (kernel_sim/audit/README.md has the format, and what the key is
/// for). Nothing of the caller's is kept, the key neither. It is open until KtlsimCloseAuditTrail,
/// or until the process exits; KtlsimStop leaves it alone.
///
/// A record that waits takes about 600 bytes; names that are longer than 320 bytes take more,
/// together 1 KiB for each record of the queue, or 8 MiB if that is more. What finds no memory
/// finds no room. Without KTLSIM_AUDIT_COUNT an access that has to be recorded is refused when the
/// disk or the queue is full. A forked child cannot write to its parent's trail: there, all that
/// have to be recorded are refused, until it opens one of its own, under another name, or closes
/// the parent's, to which nothing happens. Level: passive. Returns: SEC_E_OK;
/// SEC_E_INVALID_PARAMETER: a bad value, one is open already, another process writes to it, the key
/// is another one or missing, or log and head do not belong together; SEC_E_INTERNAL_ERROR: the
/// files cannot be read or written; SEC_E_UNSUPPORTED_FUNCTION: above passive level;
/// SEC_E_INSUFFICIENT_MEMORY.
KTLSIM_API SECURITY_STATUS KtlsimOpenAuditTrail(const KtlsimAuditTrail* trail);
/// Waits until all that was recorded before is written, and on the disk unless
/// KTLSIM_AUDIT_NO_SYNC.
/// Level: passive. Returns: SEC_E_OK; SEC_E_INTERNAL_ERROR: the last attempt to write has failed;
/// SEC_E_INVALID_PARAMETER: none is open, or it is the parent process's;
/// SEC_E_UNSUPPORTED_FUNCTION: above passive level.
KTLSIM_API SECURITY_STATUS KtlsimFlushAuditTrail(void);
/// A new file begins soon; this one is NAME.1, NAME.2 and so on from then on.
/// Level: passive. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: none is open;
/// SEC_E_UNSUPPORTED_FUNCTION: above passive level.
KTLSIM_API SECURITY_STATUS KtlsimRotateAuditTrail(void);
/// Waits until nobody is in the middle of a record, writes what is queued and a last line. From
/// then on nothing is recorded.
/// Level: passive. Returns: SEC_E_OK, also if none was open; SEC_E_INTERNAL_ERROR: not everything
/// could be written; SEC_E_UNSUPPORTED_FUNCTION: above passive level.
KTLSIM_API SECURITY_STATUS KtlsimCloseAuditTrail(void);

// ---- Attributes of a credential ----------------------------------------------------------------
//
// For SetCredentialsAttributes, before the first context is made from the credential. Passive
// level. Everything is copied before the call returns. A call that fails changes nothing; then
// KtlsimLastErrorText has the reason.

#define KTLSIM_ATTR_TICKETS 0x4B540001          // KtlsimCred_Tickets
#define KTLSIM_ATTR_CIPHER_SUITES 0x4B540002    // KtlsimCred_CipherSuites
#define KTLSIM_ATTR_TRUST 0x4B540003            // KtlsimCred_Trust
#define KTLSIM_ATTR_GROUPS 0x4B540004           // KtlsimCred_Groups
#define KTLSIM_ATTR_SERVER_NAMES 0x4B540005     // KtlsimCred_ServerNames
#define KTLSIM_ATTR_CLIENT_AUTH 0x4B540006      // KtlsimCred_ClientAuth
#define KTLSIM_ATTR_SESSIONS 0x4B540007         // KtlsimCred_Sessions
#define KTLSIM_ATTR_KEY_LOG 0x4B540008          // KtlsimCred_KeyLog
#define KTLSIM_ATTR_DIGEST_SERVER 0x4B540009    // KtlsimCred_DigestServer
#define KTLSIM_ATTR_DIGEST_VERIFIER 0x4B54000A  // KtlsimCred_DigestVerifier

#define KTLSIM_TICKETS_MAX 8

// TLS 1.3 tickets that a server sends after a handshake; 0 also switches TLS 1.2 tickets off.
typedef struct _KtlsimCred_Tickets {
  ULONG cTickets;
} KtlsimCred_Tickets, *PKtlsimCred_Tickets;

// A colon-separated list of OpenSSL's cipher suite names; for tests.
typedef struct _KtlsimCred_CipherSuites {
  const char* pszSuites;
} KtlsimCred_CipherSuites, *PKtlsimCred_CipherSuites;

// Trust anchors for validating the peer: a regular file of at most 8 MiB. On failure the credential
// keeps what it had. SEC_E_UNKNOWN_CREDENTIALS: the file cannot be read, holds no PEM certificate
// or a damaged one; SEC_E_INSUFFICIENT_MEMORY.
typedef struct _KtlsimCred_Trust {
  const char* pszPemFile;
} KtlsimCred_Trust, *PKtlsimCred_Trust;

// Key exchange groups, either direction, the preferred one first: "X25519:P-256:P-384". Names are
// X25519, P-256, P-384, P-521 and X448. A client sends its key share for the first. Without the
// attribute: X25519:P-256:P-384:P-521. In TLS 1.2 the list holds for the curve of an ECDSA
// certificate, too (RFC 8422 5.1.1). SEC_E_INVALID_PARAMETER: NULL, empty, or a name not known.
typedef struct _KtlsimCred_Groups {
  const char* pszGroups;
} KtlsimCred_Groups, *PKtlsimCred_Groups;

// Which certificate a server presents. Without the attribute, the server chooses among the
// certificates of SCH_CREDENTIALS.paCred whose subject alternative names hold the name that the
// client asks for (RFC 6066 3). The name itself goes before a wildcard that covers it
// ("*.example.org": exactly one label more). A client that asks for no name, or for one that no
// certificate has, gets the default: paCred[0] and the certificates that share its first name.
// Where several certificates are for one name, the client's signature algorithms decide: there is
// one candidate per kind of key, the first of its kind in paCred, and ECDSA goes before RSA where
// the client puts it first.
//
// The attribute adds names of the caller's choice, which go before those that certificates hold. A
// name may come twice, with different kinds of key. Names are compared without regard to case; a
// trailing dot does not count; addresses are not names (RFC 6066 3).
typedef struct _KtlsimCred_ServerName {
  const char* pszName;          // "www.example.org" or "*.example.org"
  PCCERT_CONTEXT pCertificate;  // need not be in paCred; with its key
} KtlsimCred_ServerName, *PKtlsimCred_ServerName;

#define KTLSIM_SERVER_NAMES_MAX 4096

// A name that no certificate is for ends the handshake with the fatal alert unrecognized_name and
// SEC_E_TARGET_UNKNOWN. A client that asks for no name gets the default all the same.
#define KTLSIM_SERVER_NAMES_STRICT 1

// Server only; replaces what an earlier call has set. SEC_E_INVALID_PARAMETER: a client's
// credential, a malformed name, NULL, unknown flags, more than KTLSIM_SERVER_NAMES_MAX;
// SEC_E_NO_CREDENTIALS: a certificate without its key; SEC_E_CERT_EXPIRED: one that is not valid
// now.
typedef struct _KtlsimCred_ServerNames {
  ULONG cNames;                         // 0: only the flags
  const KtlsimCred_ServerName* pNames;  // may be NULL when cNames is 0
  ULONG fFlags;                         // KTLSIM_SERVER_NAMES_STRICT
} KtlsimCred_ServerNames, *PKtlsimCred_ServerNames;

#define KTLSIM_CLIENT_AUTH_NONE 0     // clients are not asked, unless a call says so; the default
#define KTLSIM_CLIENT_AUTH_REQUEST 1  // asked; one that sends no certificate is let in
#define KTLSIM_CLIENT_AUTH_REQUIRE 2  // asked; one that sends no certificate is refused

// Whether a server asks its clients for certificates. A certificate that comes is judged, whatever
// the policy: untrusted is the alert unknown_ca and SEC_E_UNTRUSTED_ROOT, expired is
// certificate_expired and SEC_E_CERT_EXPIRED. A required one that does not come is
// certificate_required (TLS 1.2: handshake_failure) and SEC_E_NO_CREDENTIALS. With
// SCH_CRED_MANUAL_CRED_VALIDATION nothing that comes is refused: SECPKG_ATTR_CERT_CHECK_RESULT has
// the judgement.
//
// ASC_REQ_MUTUAL_AUTH requires a certificate under every policy.
//
// Server only. SEC_E_INVALID_PARAMETER: a client's credential or an unknown policy;
// SEC_E_UNKNOWN_CREDENTIALS: the file cannot be read, holds no PEM certificate or a damaged one.
typedef struct _KtlsimCred_ClientAuth {
  ULONG Policy;  // KTLSIM_CLIENT_AUTH_*
  // Trust anchors for clients' certificates, as in KtlsimCred_Trust. The client is sent their
  // names, unless these take more than 16,384 bytes (RFC 8446 4.2.4). NULL: those of
  // KTLSIM_ATTR_TRUST, else those the system trusts.
  const char* pszTrustPemFile;
} KtlsimCred_ClientAuth, *PKtlsimCred_ClientAuth;

// A server's credential that replaces another one takes over its sessions: from now on both have
// the same ticket keys and the same sessions by ID. A client can resume as long as nothing has
// changed that its session rests on: the certificates for its name, whether the server asks for a
// client certificate and with which trust anchors it judges that, the cipher suite. Two credentials
// that serve different owners must not share, unless those differ.
//
// SCHANNEL_CRED and SCH_CREDENTIALS say how long sessions live (dwSessionLifespan, in milliseconds,
// counted from the full handshake): 0 is ten hours, 0xFFFFFFFF none at all, and seven days is the
// most (RFC 8446 4.6.1). No session outlives a certificate of its peer's chain. Ticket keys change
// by themselves, after a session's life or an hour, whichever is more.
//
// Server only. SEC_E_INVALID_HANDLE: `phFrom` is no credential; SEC_E_INVALID_PARAMETER: one of the
// two is a client's, or of another package.
typedef struct _KtlsimCred_Sessions {
  PCredHandle phFrom;  // may be freed afterwards
} KtlsimCred_Sessions, *PKtlsimCred_Sessions;

// Where the secrets of this credential's handshakes go, so that captured traffic can be decrypted:
// for tests and for finding faults. Without the attribute nothing is recorded.
//
// Called with one line of the NSS key log format at a time, ended by a NUL and without an end of
// line: in TLS 1.2 CLIENT_RANDOM; in TLS 1.3 CLIENT_HANDSHAKE_TRAFFIC_SECRET,
// SERVER_HANDSHAKE_TRAFFIC_SECRET, CLIENT_TRAFFIC_SECRET_0, SERVER_TRAFFIC_SECRET_0 and
// EXPORTER_SECRET. A key update (RFC 8446 4.6.3) adds no line: the later secrets follow from these.
// The line is wiped when the callback returns.
//
// Called at dispatch level, in the middle of a leg, possibly on several threads at once: it must
// neither block nor call into the library. `pvContext` must stay valid until the credential and
// every context made from it are gone.
typedef void (*KTLSIM_KEY_LOG_CALLBACK)(void* pvContext, const char* pszLine);
typedef struct _KtlsimCred_KeyLog {
  KTLSIM_KEY_LOG_CALLBACK pfnLine;  // NULL: nothing is recorded any more
  void* pvContext;
} KtlsimCred_KeyLog, *PKtlsimCred_KeyLog;

// ---- WDigest: buffers --------------------------------------------------------------------------
//
// ISC_REQ_HTTP or ISC_REQ_USE_HTTP_STYLE, and ASC_REQ_HTTP, are for HTTP; without them a context is
// one of SASL's DIGEST-MD5, with one TOKEN each way. Tokens of HTTP are the values of the headers
// without the scheme's name ("Digest "), which is passed over on input. PKG_PARAMS count by their
// order; each may be empty where it says so.
//
//   AcceptSecurityContext      TOKEN Authorization, or empty: challenge; PKG_PARAMS method, URL
//                              (or empty: not compared), hash of the body in hexadecimal digits
//                              (or empty), realm in UTF-16 (or empty)
//   CompleteAuthToken          the same, after SEC_I_COMPLETE_NEEDED; or an output alone, while
//                              one request is open
//   VerifySignature            the same; strictly in order
//   InitializeSecurityContext  TOKEN WWW-Authenticate; PKG_PARAMS method, hash of the body (or
//                              empty); the target's name is the URL
//   MakeSignature              TOKEN empty; PKG_PARAMS method, URL, hash of the body (or empty);
//                              PADDING receives Authorization
//
// The other way round, which Windows does not document, for Authentication-Info (RFC 7616 3.5):
//
//   MakeSignature, server      TOKEN Authorization, as it was accepted; PKG_PARAMS method (not
//                              used), URL (or empty: not compared), hash of the response's body (or
//                              empty); PADDING receives Authentication-Info
//   VerifySignature, client    the same with TOKEN Authentication-Info and PADDING Authorization,
//                              as it was sent. SEC_E_MESSAGE_ALTERED: the server does not know the
//                              password, or the value is of another request. A nextnonce in it is
//                              what the context signs with from now on.
//
// A context outlives its connection. AcceptSecurityContext without a context, or with a partial
// one, goes on at the context that the opaque value of the response names, and returns that one's
// handle with SEC_I_COMPLETE_NEEDED: it is borrowed, and one DeleteSecurityContext ends it however
// often it was handed out. A response that is right and too old, or whose context is not known any
// more, is SEC_I_CONTINUE_NEEDED with a challenge that says stale=true. On a context that is
// established already it returns 0xC000006D.
//
// SASL: MakeSignature and VerifySignature (auth-int) take a TOKEN for the signature and DATA;
// EncryptMessage and DecryptMessage (auth-conf; auth-int with SECQOP_WRAP_NO_ENCRYPT) DATA, and
// PADDING for what it grows by.

// ---- WDigest: the server's settings ------------------------------------------------------------
//
// A server of Digest authentication (RFC 7616, RFC 2831) acquires an inbound credential of
// "WDigest" and says with these two attributes who its users are. They may be set again at any
// time: the next calls with the credential go by the new settings, and contexts go on. Without
// either of them AcceptSecurityContext challenges, and verifies nobody:
// SEC_E_NO_AUTHENTICATING_AUTHORITY.

#define KTLSIM_DIGEST_MD5_SESSION 1  // fFlags: MD5-sess (and SHA-256-sess) in the place of MD5
#define KTLSIM_DIGEST_SHA256 2       // fFlags: SHA-256 is offered first, then MD5 (RFC 7616)
#define KTLSIM_DIGEST_SHA512_256 4   // fFlags: SHA-512-256 is offered first, then MD5
#define KTLSIM_DIGEST_USERHASH 8     // fFlags: a hashed name is taken (RFC 7616 3.4.4)

// What is offered first is the token of a challenge. A second SECBUFFER_TOKEN in the output, if
// there is one, receives the challenge with MD5; the two are a WWW-Authenticate each.
//
// `pszUsersFile` is read when the attribute is set, so setting it again reads it again: a regular
// file of lines as Apache's htdigest makes them, "user:realm:" and MD5 in hexadecimal digits, and
// for the other algorithms "SHA-256:user:realm:" or "SHA-512-256:user:realm:" and the hash. No
// password is kept in clear.
//
// A nonce is good for cUnansweredSeconds before it is answered; with a context, for
// cEstablishedSeconds, or until no request has come for cIdleSeconds. What comes later is asked for
// a response to a new nonce (stale=true). A context without a request for five minutes more is
// over. The store keeps a context for as long as the first response could be sent again, whatever
// the other two limits are: where nodes share a store, a cIdleSeconds that is shorter than
// cUnansweredSeconds ends nothing earlier. All nodes have the same limits.
typedef struct _KtlsimCred_DigestServer {
  ULONG cbSize;              // sizeof(KtlsimCred_DigestServer)
  ULONG fFlags;              // KTLSIM_DIGEST_*
  const char* pszRealm;      // UTF-8; of calls that name no realm of their own; NULL: ""
  const char* pszServer;     // UTF-8; nonces and contexts are good for this name only; NULL: ""
  const char* pszUsersFile;  // NULL: nobody, unless KTLSIM_ATTR_DIGEST_VERIFIER is set
  ULONG cNonceWindow;        // how far below the highest a nonce count may be; 0: strictly in order
  ULONG cUnansweredSeconds;
  ULONG cEstablishedSeconds;
  ULONG cIdleSeconds;
  ULONG cContextStoreWaitMs;  // the longest a call waits for store and verifier: 1 to 30,000
} KtlsimCred_DigestServer, *PKtlsimCred_DigestServer;

#define KTLSIM_DIGEST_WINDOW_MAX 64
#define KTLSIM_DIGEST_WAIT_MS_MAX 30000
// The defaults, to be changed from.
#define KTLSIM_DIGEST_SERVER_INIT \
  {sizeof(KtlsimCred_DigestServer), 0, NULL, NULL, NULL, 64, 300, 36000, 3600, 2000}

// Server only. SEC_E_INVALID_PARAMETER: a client's credential, cbSize, unknown flags, a value out
// of its range, or KTLSIM_DIGEST_USERHASH without KTLSIM_DIGEST_SHA256 or KTLSIM_DIGEST_SHA512_256;
// SEC_E_UNKNOWN_CREDENTIALS: the file cannot be read, or is no file of users;
// SEC_E_INSUFFICIENT_MEMORY.

// Somebody else's users. The library asks for the hash of an account and does the rest itself, the
// same work for a user that does not exist.
typedef struct _KtlsimDigestQuestion {
  const char* pszUser;   // UTF-8
  const char* pszRealm;  // UTF-8
  BOOL fUserHashed;      // pszUser is H(user:realm), in hexadecimal digits
  ULONG cbHash;          // of the hash that is asked for: H(user:realm:password)
  const char* pszHash;   // its algorithm: "MD5", "SHA-256" or "SHA-512-256"
} KtlsimDigestQuestion, *PKtlsimDigestQuestion;

typedef struct _KtlsimDigestReply KtlsimDigestReply;

// Called at dispatch level in the middle of a call, possibly on several threads at once: it must
// not block. Each question is replied to with KtlsimReplyToDigest exactly once, in the callback or
// later on any thread; until then the question and `reply` are valid. The call that asks is
// suspended meanwhile, up to cContextStoreWaitMs; a reply after that is no fault and has no effect.
typedef void (*KTLSIM_DIGEST_VERIFIER)(void* pvContext, const KtlsimDigestQuestion* question,
                                       KtlsimDigestReply* reply);

// Server only; goes before pszUsersFile. SEC_E_INVALID_PARAMETER: a client's credential.
typedef struct _KtlsimCred_DigestVerifier {
  KTLSIM_DIGEST_VERIFIER pfnVerify;  // NULL: there is none any more
  void* pvContext;                   // valid as long as the credential and its contexts are
} KtlsimCred_DigestVerifier, *PKtlsimCred_DigestVerifier;

/// The reply to a question. `status`: SEC_E_OK with the hash, which is copied;
/// SEC_E_LOGON_DENIED: there is no such user; anything else: the users are not to be had now
/// (SEC_E_NO_AUTHENTICATING_AUTHORITY for the client).
/// Level: up to dispatch. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: NULL, or a hash of another
/// length, which counts as "not to be had".
KTLSIM_API SECURITY_STATUS KtlsimReplyToDigest(KtlsimDigestReply* reply, SECURITY_STATUS status,
                                               const unsigned char* pbHash, ULONG cbHash);

// ---- Attributes of a context -------------------------------------------------------------------
//
// For QueryContextAttributes and its Ex form, in all of their spellings alike. Any level.

#define KTLSIM_ATTR_CONTEXT_SERVER_NAME 0x4B540201  // KtlsimContext_ServerName
#define KTLSIM_ATTR_CONTEXT_FAILURE 0x4B540202      // KtlsimContext_Failure

// The host name in the ClientHello (server_name, RFC 6066 3): as the server's handshake has read
// it, in however many records and calls the message came, or as the client has sent it. Unlike
// SslGetServerIdentity this needs no bytes of the message. Only an established TLS context has it;
// before that the query returns SEC_E_INVALID_HANDLE, or what it returns for the other attributes.
typedef struct _KtlsimContext_ServerName {
  ULONG cbName;      // without the NUL; 0: there was none
  CHAR szName[256];  // ended by a NUL
} KtlsimContext_ServerName, *PKtlsimContext_ServerName;

// Why a TLS context came to its end, in its handshake or after it: many causes have one status. As
// long as nothing has failed, pszWhy is "" and the alerts are -1.
typedef struct _KtlsimContext_Failure {
  const char* pszWhy;   // in words, without a full stop; never NULL, never freed
  LONG lReceivedAlert;  // the alert of the peer that ended it (RFC 8446 6); -1: none
  LONG lSentAlert;      // the alert that the peer is sent; -1: none
} KtlsimContext_Failure, *PKtlsimContext_Failure;

// An output buffer of InitializeSecurityContext and AcceptSecurityContext, besides the token's,
// that holds a KtlsimContext_Failure: a leg that fails fills it in, every other call leaves it
// alone. A first leg that fails leaves no context behind that could be asked for the attribute. A
// smaller buffer is left alone, too.
#define KTLSIM_SECBUFFER_FAILURE 0x0B540001

// ---- Key updates (TLS 1.3, RFC 8446 4.6.3) -----------------------------------------------------
//
// A token for ApplyControlToken: the next call of InitializeSecurityContext or
// AcceptSecurityContext without input returns SEC_E_OK and a KeyUpdate record as its token. Send it
// after everything that was encrypted earlier and before anything that is encrypted later.
// ApplyControlToken returns SEC_E_UNSUPPORTED_FUNCTION in TLS 1.2 and before the handshake is over,
// SEC_E_INVALID_TOKEN for another value of fRequestPeer.
//
// Without the control token, a call without input returns a KeyUpdate once 2^24 records were
// encrypted under one AES-GCM key, and SEC_E_INCOMPLETE_MESSAGE before that. A caller that sends so
// much makes such a call now and then: after 2^24.5 records EncryptMessage returns
// SEC_E_CONTEXT_EXPIRED until the KeyUpdate was made.

#define KTLSIM_CONTROL_KEY_UPDATE 0x4B540101

typedef struct _KtlsimControl_KeyUpdate {
  DWORD dwTokenType;   // KTLSIM_CONTROL_KEY_UPDATE
  DWORD fRequestPeer;  // 1: the peer must update its key, too; 0: it need not
} KtlsimControl_KeyUpdate, *PKtlsimControl_KeyUpdate;

// ---- Statistics --------------------------------------------------------------------------------

// cAccepted, cRefused, cCompleted, cCallbacks, cNotifyThreadsPeak, cCancelled and cQueueTimeouts
// count since the last KtlsimStart, and stay readable after KtlsimStop until the next one. cMisuse
// and cHandshakesCompleted to cRecordsOpened count since the process began: records are sealed and
// opened in a stopped library, too. The others say how many there are now. A snapshot is not one
// instant for all counters.
typedef struct _KtlsimStatistics {
  ULONG cbSize;  // sizeof(KtlsimStatistics), set by the caller
  ULONGLONG cAccepted;
  ULONGLONG cRefused;
  ULONGLONG cCompleted;
  ULONGLONG cInFlight;
  ULONGLONG cCallbacks;
  ULONGLONG cAsyncContexts;
  ULONGLONG cSecurityContexts;
  ULONGLONG cCredentials;
  ULONGLONG cContextBuffers;
  ULONGLONG cNotifyThreads;
  ULONGLONG cNotifyThreadsPeak;
  ULONGLONG cSuspended;
  ULONGLONG cMisuse;
  ULONGLONG cHandshakesCompleted;
  ULONGLONG cHandshakesFailed;
  ULONGLONG cResumed;
  ULONGLONG cRecordsSealed;
  ULONGLONG cRecordsOpened;
  ULONGLONG cCancelled;      // of cCompleted: KTLSIM_E_CANCELLED
  ULONGLONG cQueueTimeouts;  // of cCompleted: KTLSIM_E_QUEUE_TIMEOUT
  // How often the system refused a thread for a callback that waited; it is tried again.
  ULONGLONG cNotifyThreadsRefused;
  ULONGLONG cUnixSwitches;         // a client's Unix user was taken on, since the process began
  ULONGLONG cUnixSwitchesRefused;  // it could not be
} KtlsimStatistics, *PKtlsimStatistics;

/// Fills in `*stats`, whose cbSize the caller has set.
/// Level: any. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: NULL or a wrong cbSize.
KTLSIM_API SECURITY_STATUS KtlsimQueryStatistics(KtlsimStatistics* stats);

#define KTLSIM_LANE_RECORD 0     // messages and teardown; runs first
#define KTLSIM_LANE_HANDSHAKE 1  // acquiring, and legs of handshakes
#define KTLSIM_LANES 2
#define KTLSIM_HISTOGRAM_BUCKETS 40

// cCalls[i] counts times from 2^i to 2^(i+1)-1 ns; [0] also zero, the last bucket also everything
// above. One call in 64 is timed, because reading the clock costs a tenth of the shortest call; all
// are with KTLSIM_TIME_EVERY_CALL.
typedef struct _KtlsimHistogram {
  ULONGLONG cCalls[KTLSIM_HISTOGRAM_BUCKETS];
  ULONGLONG ullTotalNs;  // the sum of these times
} KtlsimHistogram, *PKtlsimHistogram;

typedef struct _KtlsimLaneStatistics {
  ULONGLONG cDepth;    // accepted and not completed, right now
  ULONGLONG cRefused;  // because the queue was full
  ULONGLONG cCompleted;
  ULONGLONG cCancelled;
  ULONGLONG cQueueTimeouts;
  KtlsimHistogram Queued;    // from acceptance to the first run
  KtlsimHistogram Served;    // from there to the final status, suspensions included
  KtlsimHistogram Notified;  // from there to the callback's entry
} KtlsimLaneStatistics, *PKtlsimLaneStatistics;

// What a processor's io_uring has done; the last four are how many there are now.
typedef struct _KtlsimRingStatistics {
  ULONGLONG cTurns;               // rounds: submit, wait if there is nothing to do, collect, run
  ULONGLONG cEnters;              // calls of io_uring_enter
  ULONGLONG cSubmitted;           // entries of the submission queue (SQEs)
  ULONGLONG cCompleted;           // entries of the completion queue (CQEs)
  ULONGLONG cWakes;               // writes by other threads that have woken it
  ULONGLONG cPosted;              // work items that have run
  ULONGLONG cSubmissionFull;      // times that the submission queue was full
  ULONGLONG cParked;              // operations that have waited for a place in it
  ULONGLONG cBuffersExhausted;    // times that no receive buffer was free (ENOBUFS)
  ULONGLONG cCompletionOverflow;  // times that the completion queue had overflowed
  ULONGLONG cCompletionsLost;     // times that the kernel had no memory to keep a completion
  ULONGLONG cBuffersLent;         // receive buffers in use
  ULONGLONG cOperations;          // in flight
  ULONGLONG cSockets;             // open
  ULONGLONG cTimers;              // armed
} KtlsimRingStatistics, *PKtlsimRingStatistics;

typedef struct _KtlsimProcessorStatistics {
  ULONG cbSize;  // sizeof(KtlsimProcessorStatistics), set by the caller
  ULONG Reserved;
  char szRole[32];
  ULONGLONG cSuspended;  // right now
  ULONGLONG cCallbacks;  // delivered on the processor
  KtlsimLaneStatistics Lanes[KTLSIM_LANES];
  ULONGLONG ullCpuNs;  // of the processor's thread
  KtlsimRingStatistics Ring;
} KtlsimProcessorStatistics, *PKtlsimProcessorStatistics;

/// One processor, counted since the last start, also after KtlsimStop. Processors are numbered from
/// 0, those of the crypto pool last. Depth and refusals are counted where a call was queued,
/// everything else where it ran.
/// Level: any. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: NULL, a wrong cbSize, or no such
/// processor (none before the first start).
KTLSIM_API SECURITY_STATUS KtlsimQueryProcessorStatistics(ULONG processor,
                                                          KtlsimProcessorStatistics* stats);

#ifdef __cplusplus
}  // extern "C"
#endif

// See ktlsim/detail/out_ulong.h.
#ifndef __cplusplus
#define SspiDecryptMessageAsync(async, context, message, sequence, qop) \
  SspiDecryptMessageAsync(async, context, message, sequence, KTLSIM_ULONG_OUT_ARGUMENT(qop))
#define SspiVerifySignatureAsync(async, context, message, sequence, qop) \
  SspiVerifySignatureAsync(async, context, message, sequence, KTLSIM_ULONG_OUT_ARGUMENT(qop))
#endif
