// Processes of other users: CreateProcessAsUser.

#include <ktlsim/security.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <climits>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/caller_text.h"
#include "kernel_sim/authorization/command_line.h"
#include "kernel_sim/authorization/environment_block.h"
#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/authorization/process_start.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/unix_identity/become.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::TokenState;

// As on Windows.
constexpr std::size_t kCommandLineMax = 32767;

constexpr DWORD kFlags =
    CREATE_UNICODE_ENVIRONMENT | CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS | CREATE_NO_WINDOW;

DWORD NumberOfFault(Fault fault) { return static_cast<DWORD>(fault); }

// Why a program does not run. README.md has the table.
DWORD ErrorOf(int error) {
  switch (error) {
    case ENOENT:
      return ERROR_FILE_NOT_FOUND;
    case ELOOP:
    case ENAMETOOLONG:
      return ERROR_PATH_NOT_FOUND;
    case ENOTDIR:
      return ERROR_DIRECTORY;
    case EACCES:
    case EPERM:
      return ERROR_ACCESS_DENIED;
    case EBADF:
      return ERROR_INVALID_HANDLE;
    case E2BIG:
      return ERROR_INVALID_PARAMETER;
    case ENOMEM:
      return ERROR_NOT_ENOUGH_MEMORY;
    case ETIMEDOUT:
      return ERROR_TIMEOUT;
    case ECANCELED:
      return ERROR_PROCESS_ABORTED;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
      return ERROR_NO_SYSTEM_RESOURCES;
    default:
      return ERROR_BAD_EXE_FORMAT;
  }
}

// What the functions are given, whichever the texts are.
struct StartArguments {
  HANDLE token;
  bool attributes;  // security attributes were given
  bool inherit;
  DWORD flags;
  LPVOID environment;
  const void* startup;  // STARTUPINFOA and STARTUPINFOW have one layout
  LPPROCESS_INFORMATION process;
};
static_assert(sizeof(STARTUPINFOA) == sizeof(STARTUPINFOW));

template <typename Unit>
struct StartTexts {
  const Unit* program;
  const Unit* command_line;
  const Unit* folder;
};

// What the texts say, in UTF-8; null texts are "".
struct ReadTexts {
  template <typename Unit>
  Fault Read(const StartTexts<Unit>& from) {
    Fault fault = ReadOne(from.program, &program);
    if (fault == Fault::kNone) fault = ReadOne(from.command_line, &command_line);
    if (fault == Fault::kNone) fault = ReadOne(from.folder, &folder);
    const bool good = command_line.size() <= kCommandLineMax &&
                      (from.program == nullptr || !program.empty()) &&
                      (from.folder == nullptr || !folder.empty());
    return fault == Fault::kNone && !good ? Fault::kInvalidParameter : fault;
  }
  template <typename Unit>
  static Fault ReadOne(const Unit* from, std::string* text) {
    return from != nullptr ? ReadText(from, text) : Fault::kNone;
  }

  std::string program;
  std::string command_line;
  std::string folder;
};

// Whether `less` is a copy of `own` that can do no more: of the same user in the same session, with
// no group, privilege or integrity that `own` has not, and restricted at least as `own` is. Whether
// a group or a privilege is enabled does not count: whoever has it may enable it.
bool IsWithin(const TokenState& less, const TokenState& own) {
  const auto sid_within = [&](std::size_t i) {
    if (less.attributes(i) & security::kGroupDenyOnly) return true;
    const auto index = own.IndexOf(less.sids()[i]);
    return index && (own.attributes(*index) & security::kGroupDenyOnly) == 0;
  };
  for (std::size_t i = 0; i < less.sids().size(); ++i) {
    if (!sid_within(i)) return false;
  }
  // One that denies is lost with its SID.
  for (std::size_t i = 0; i < own.sids().size(); ++i) {
    if (!less.IndexOf(own.sids()[i])) return false;
  }
  const std::optional<security::SidTable>& restricting = own.identity().restricting;
  if (restricting) {
    const std::optional<security::SidTable>& more = less.identity().restricting;
    if (!more || (less.write_restricted() && !own.write_restricted())) return false;
    for (const security::Sid& sid : more->all()) {
      if (!restricting->Find(sid)) return false;
    }
  }
  return less.user() == own.user() && less.integrity() <= own.integrity() &&
         less.identity().authentication_id == own.identity().authentication_id &&
         less.privileges().held.And(own.privileges().held) == less.privileges().held;
}

// Whether this process may start one with `token`.
Fault JudgeToken(const TokenState& token) {
  if (token.type() != security::TokenType::kPrimary) return Fault::kBadTokenType;
  const security::Token::Ref& own = ProcessToken();
  if (own == nullptr) return Fault::kNoMemory;
  const security::TokenStateRef state = own->state();
  // Held is enough: Windows enables them for the call.
  const security::PrivilegeSet held = state->privileges().held;
  if (!held.Has(security::Privilege::kIncreaseQuota)) return Fault::kPrivilegeNotHeld;
  const bool may = held.Has(security::Privilege::kAssignPrimaryToken) || IsWithin(token, *state);
  return may ? Fault::kNone : Fault::kPrivilegeNotHeld;
}

// A handle of a standard descriptor: the descriptor as a pointer. False: it is none.
bool ReadStandard(HANDLE from, int* descriptor) {
  const auto value = reinterpret_cast<std::intptr_t>(from);
  if (value < ProcessPlan::kNothing || value > INT32_MAX) return false;
  *descriptor = static_cast<int>(value);
  return true;
}

Fault ReadStartup(const void* from, ProcessPlan* plan) {
  // A shorter one may end where the caller's memory does.
  static_assert(offsetof(STARTUPINFOA, cb) == 0);
  if (LoadFrom<DWORD>(from) < sizeof(STARTUPINFOA)) return Fault::kInvalidParameter;
  const auto startup = LoadFrom<STARTUPINFOA>(from);
  if ((startup.dwFlags & STARTF_USESTDHANDLES) == 0) return Fault::kNone;
  const bool good = ReadStandard(startup.hStdInput, &plan->standard[0]) &&
                    ReadStandard(startup.hStdOutput, &plan->standard[1]) &&
                    ReadStandard(startup.hStdError, &plan->standard[2]);
  return good ? Fault::kNone : Fault::kInvalidHandle;
}

// Makes a path that begins in this process's folder one from the root: the child looks when it is
// in its own. An errno value: the folder is gone, or its path is too long.
int MakeAbsolute(std::string* program) {
  if (program->starts_with('/')) return 0;
  std::array<char, PATH_MAX> folder{};
  if (getcwd(folder.data(), folder.size()) == nullptr) {
    return errno == ERANGE ? ENAMETOOLONG : errno;
  }
  // Linux says "(unreachable)" of a folder outside of the process's root.
  if (folder.front() != '/') return ENOENT;
  std::string whole = folder.data();
  if (!whole.ends_with('/')) whole.push_back('/');
  *program = whole.append(*program);
  return 0;
}

// The places where a program without a slash may be, in this order. An entry of PATH that is empty
// or relative is left out: it would be whatever folder the child is in.
std::vector<std::string> Places(const std::string& name) {
  // As `environ`, it is the caller's not to change meanwhile.
  const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  std::vector<std::string> places;
  for (bool more = true; more;) {
    const std::size_t end = rest.find(':');
    const std::string_view place = rest.substr(0, end);
    if (place.starts_with('/')) places.push_back(std::string(place).append("/").append(name));
    more = end != std::string_view::npos;
    if (more) rest.remove_prefix(end + 1);
  }
  return places;
}

DWORD ReadPrograms(const ReadTexts& texts, ProcessPlan* plan) {
  plan->arguments = SplitCommandLine(texts.command_line);
  if (texts.program.empty() && (plan->arguments.empty() || plan->arguments[0].empty())) {
    return ERROR_INVALID_PARAMETER;
  }
  if (plan->arguments.empty()) plan->arguments = {texts.program};
  const std::string& named = texts.program.empty() ? plan->arguments[0] : texts.program;
  if (texts.program.empty() && named.find('/') == std::string::npos) {
    plan->programs = Places(named);
    return ERROR_SUCCESS;
  }
  plan->programs = {named};
  const int error = MakeAbsolute(plan->programs.data());
  return error != 0 ? ErrorOf(error) : ERROR_SUCCESS;
}

DWORD MakePlan(const StartArguments& arguments, const ReadTexts& texts, const TokenState& state,
               ProcessPlan* plan) {
  Fault fault = ReadStartup(arguments.startup, plan);
  if (fault != Fault::kNone) return NumberOfFault(fault);
  const DWORD error = ReadPrograms(texts, plan);
  if (error != ERROR_SUCCESS) return error;
  const bool wide = (arguments.flags & CREATE_UNICODE_ENVIRONMENT) != 0;
  fault = ReadEnvironment(arguments.environment, wide, &plan->environment);
  if (fault != Fault::kNone) return NumberOfFault(fault);
  AddIdentity(state, &plan->environment);
  plan->folder = texts.folder;
  plan->inherit = arguments.inherit;
  plan->own_session = (arguments.flags & DETACHED_PROCESS) != 0;
  plan->own_group = (arguments.flags & CREATE_NEW_PROCESS_GROUP) != 0;
  return ERROR_SUCCESS;
}

// A handle that is closed again unless its process runs.
struct NewHandle {
  NewHandle() = default;
  NewHandle(const NewHandle&) = delete;
  NewHandle& operator=(const NewHandle&) = delete;
  ~NewHandle() {
    if (value != nullptr) static_cast<void>(CloseForCaller(value));
  }

  HandleValue value = nullptr;
};

// Of the client, where the process takes on its clients' Unix users.
class UnixChild final : public ChildIdentity {
 public:
  explicit UnixChild(const UnixIdentity& identity) : identity_(identity) {}
  int TakeOn() const noexcept override { return unix_identity::BecomeForGood(identity_); }

 private:
  const UnixIdentity& identity_;
};

// Its own rights decide, and not those that this thread may have at the moment.
int StartAs(ProcessPlan plan, const security::Token& token, pid_t* child) {
  const UnixIdentity* const rights = ThreadIdentity::RightsOf(&token);
  const ThreadIdentity::Scope as_process;
  if (rights == nullptr) return StartProcess(plan, child);
  const UnixChild identity(*rights);
  plan.identity = &identity;
  return StartProcess(plan, child);
}

// The handle comes first: a process that runs cannot be taken back.
DWORD StartWith(const ProcessPlan& plan, const security::Token::Ref& token,
                LPPROCESS_INFORMATION process) {
  std::unique_ptr<HandleObject> object(new (std::nothrow) ProcessObject(token));
  NewHandle handle;
  if (object == nullptr) return ERROR_NOT_ENOUGH_MEMORY;
  if (const Fault fault = OpenHandle(std::move(object), &handle.value); fault != Fault::kNone) {
    return NumberOfFault(fault);
  }
  pid_t child = 0;
  if (const int error = StartAs(plan, *token, &child); error != 0) return ErrorOf(error);
  StoreTo<PROCESS_INFORMATION>(process, {.hProcess = std::exchange(handle.value, nullptr),
                                         .hThread = nullptr,
                                         .dwProcessId = static_cast<DWORD>(child),
                                         .dwThreadId = static_cast<DWORD>(child)});
  return ERROR_SUCCESS;
}

template <typename Unit>
DWORD Start(const StartArguments& arguments, const StartTexts<Unit>& texts) {
  if (CurrentLevel() != Level::kPassive) return ERROR_NOT_SUPPORTED;
  if (arguments.startup == nullptr || arguments.process == nullptr) return ERROR_NOACCESS;
  if ((arguments.flags & ~kFlags) != 0 || arguments.attributes) return ERROR_INVALID_PARAMETER;
  NamedToken named;
  constexpr DWORD kNeeded = TOKEN_QUERY | TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY;
  Fault fault = FindNamed(arguments.token, kNeeded, &named);
  if (fault != Fault::kNone) return NumberOfFault(fault);
  const security::TokenStateRef state = named.token->state();
  fault = JudgeToken(*state);
  ReadTexts read;
  if (fault == Fault::kNone) fault = read.Read(texts);
  if (fault != Fault::kNone) return NumberOfFault(fault);
  ProcessPlan plan;
  const DWORD error = MakePlan(arguments, read, *state, &plan);
  return error != ERROR_SUCCESS ? error : StartWith(plan, named.token, arguments.process);
}

template <typename Unit>
BOOL StartForCaller(const StartArguments& arguments, const StartTexts<Unit>& texts) noexcept {
  DWORD error = ERROR_NOT_ENOUGH_MEMORY;
  try {
    error = Start(arguments, texts);
  } catch (const std::bad_alloc&) {
    error = ERROR_NOT_ENOUGH_MEMORY;
  }
  if (error == ERROR_SUCCESS) return TRUE;
  SetLastError(error);
  return FALSE;
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim::authorization;  // NOLINT: the C API below is this file's whole point

extern "C" {

BOOL CreateProcessAsUserA(HANDLE hToken, LPCSTR lpApplicationName, LPSTR lpCommandLine,
                          LPSECURITY_ATTRIBUTES lpProcessAttributes,
                          LPSECURITY_ATTRIBUTES lpThreadAttributes, BOOL bInheritHandles,
                          DWORD dwCreationFlags, LPVOID lpEnvironment, LPCSTR lpCurrentDirectory,
                          LPSTARTUPINFOA lpStartupInfo,
                          LPPROCESS_INFORMATION lpProcessInformation) {
  return StartForCaller<CHAR>(
      {.token = hToken,
       .attributes = lpProcessAttributes != nullptr || lpThreadAttributes != nullptr,
       .inherit = bInheritHandles != FALSE,
       .flags = dwCreationFlags,
       .environment = lpEnvironment,
       .startup = lpStartupInfo,
       .process = lpProcessInformation},
      {lpApplicationName, lpCommandLine, lpCurrentDirectory});
}

BOOL CreateProcessAsUserW(HANDLE hToken, LPCWSTR lpApplicationName, LPWSTR lpCommandLine,
                          LPSECURITY_ATTRIBUTES lpProcessAttributes,
                          LPSECURITY_ATTRIBUTES lpThreadAttributes, BOOL bInheritHandles,
                          DWORD dwCreationFlags, LPVOID lpEnvironment, LPCWSTR lpCurrentDirectory,
                          LPSTARTUPINFOW lpStartupInfo,
                          LPPROCESS_INFORMATION lpProcessInformation) {
  return StartForCaller<WCHAR>(
      {.token = hToken,
       .attributes = lpProcessAttributes != nullptr || lpThreadAttributes != nullptr,
       .inherit = bInheritHandles != FALSE,
       .flags = dwCreationFlags,
       .environment = lpEnvironment,
       .startup = lpStartupInfo,
       .process = lpProcessInformation},
      {lpApplicationName, lpCommandLine, lpCurrentDirectory});
}

}  // extern "C"
