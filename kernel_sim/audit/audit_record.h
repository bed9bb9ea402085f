// AuditRecord: what a trail is told about one access, and the names of the kinds of records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_sim/security/access_mask.h"
#include "kernel_sim/security/privileges.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::audit {

enum class AuditEvent : std::uint8_t {
  // Told by callers.
  kAccess,        // an access check
  kOpen,          // an object was opened, or not
  kClose,         // a handle was closed
  kDelete,        // an object was deleted
  kPrivilegeUse,  // a privilege was used on an open object
  kService,       // a privileged service was asked for
  kLogon,         // somebody has said who it is, and was not believed, or was
  // Written by the trail about itself.
  kStart,       // the first line of a trail
  kContinue,    // the first line of a further file
  kResume,      // the writer was started again
  kLost,        // records were lost: there was no room, and the policy is to count
  kRefused,     // accesses were refused: there was no room, and the policy is to refuse
  kLogonsLost,  // failed log-ons have no record: their share of the queue was full
  kStop,        // the writer ended in order
};

// Why somebody was not believed.
enum class LogonFailure : std::uint8_t {
  kNone,          // it was
  kDenied,        // the password or the name is wrong, or what it responds to is not known here
  kWrong,         // the response does not fit the key that its user has
  kReplayed,      // it is right, and was there before
  kContextEnded,  // nobody has looked whether it is right: what it belongs to has ended
};

// Such as "replayed".
std::string_view NameOf(LogonFailure reason);

// Such as "access".
std::string_view NameOf(AuditEvent event);

// What a text may have; the rest is cut off, and the record says so.
inline constexpr std::size_t kNameBytesMax = 1024;  // subsystem, type, the client's name
inline constexpr std::size_t kObjectBytesMax = 65536;

// Anybody can make as many as they like of these.
constexpr bool IsFailedLogon(AuditEvent event, bool success) {
  return event == AuditEvent::kLogon && !success;
}

// Views what the caller has; all of it is copied. Texts may be any bytes.
struct AuditRecord {
  AuditEvent event = AuditEvent::kAccess;
  bool success = false;
  LogonFailure reason = LogonFailure::kNone;     // kLogon without success
  bool creation = false;                         // the object would be, or was, made
  const security::TokenState* client = nullptr;  // whose access it is; null: nobody's
  const security::TokenState* server = nullptr;  // the process's own token; null: not told
  // Of the account, where it has one; without a client, what somebody claims to be called.
  std::string_view client_name = {};
  std::string_view subsystem = {};    // who guards the object: "ktlsim serve"
  std::string_view object_type = {};  // "File"
  std::string_view object = {};       // its name, or the service's
  std::uint64_t handle_id = 0;        // a value; 0: none
  security::AccessMask desired = 0;
  security::AccessMask granted = 0;
  security::PrivilegeSet privileges = {};  // those that were used
  std::uint32_t unknown_privileges = 0;    // so many more, which are none that there are
  std::uint64_t context_id = 0;            // of the security context; 0: none
  std::uint64_t connection_id = 0;         // 0: none
};

}  // namespace ktlsim::audit
