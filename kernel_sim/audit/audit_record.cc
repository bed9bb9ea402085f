#include "kernel_sim/audit/audit_record.h"

namespace ktlsim::audit {

std::string_view NameOf(AuditEvent event) {
  switch (event) {
    case AuditEvent::kAccess:
      return "access";
    case AuditEvent::kOpen:
      return "open";
    case AuditEvent::kClose:
      return "close";
    case AuditEvent::kDelete:
      return "delete";
    case AuditEvent::kPrivilegeUse:
      return "privilege-use";
    case AuditEvent::kService:
      return "service";
    case AuditEvent::kLogon:
      return "logon";
    case AuditEvent::kStart:
      return "start";
    case AuditEvent::kContinue:
      return "continue";
    case AuditEvent::kResume:
      return "resume";
    case AuditEvent::kLost:
      return "lost";
    case AuditEvent::kRefused:
      return "refused";
    case AuditEvent::kLogonsLost:
      return "logons-lost";
    case AuditEvent::kStop:
      return "stop";
  }
  return "?";
}

std::string_view NameOf(LogonFailure reason) {
  switch (reason) {
    case LogonFailure::kNone:
      return "none";
    case LogonFailure::kDenied:
      return "denied";
    case LogonFailure::kWrong:
      return "wrong";
    case LogonFailure::kReplayed:
      return "replayed";
    case LogonFailure::kContextEnded:
      return "context-ended";
  }
  return "?";
}

}  // namespace ktlsim::audit
