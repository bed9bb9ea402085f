// `ktlsim access check`: may somebody have these rights to an object, and which entry of its
// descriptor says so?

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/accounts/directory_store.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/command/access_reasons.h"
#include "kernel_sim/command/access_subject.h"
#include "kernel_sim/command/acl_file.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/policy_words.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/small_result.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kSubjectBytesMax = std::size_t{1} << 16;

struct AccessOptions {
  std::string action;
  std::string sddl;
  std::string sddl_file;
  std::string acl_file;
  std::string path;
  std::string method = "GET";
  std::string rights;
  std::string token_file;
  std::string accounts_file;
  SubjectText subject;
  std::string kind = "file";
  std::string domain;
  std::string self;
  std::string json;
};

// What the options mean.
struct Question {
  ObjectKind kind = ObjectKind::kFile;
  std::optional<security::Sid> domain;
  std::optional<security::Sid> self;
  std::optional<security::Descriptor> descriptor;
  std::string object;  // with --acl: what guards what, in words
  security::TokenStateRef token;
  security::AccessMask desired = 0;
};

int FailAccess(const std::string& why) {
  fmt::print(stderr, "ktlsim access: {}\n", why);
  return kExitUsage;
}

std::string Prefixed(const char* option, const std::string& wrong) {
  return wrong.empty() ? wrong : fmt::format("{}: {}", option, wrong);
}

// Who has not authenticated, as `ktlsim serve` has it.
bool IsNobody(const SubjectText& subject) {
  return subject.user == "AN" || subject.user == "S-1-5-7";
}

// Puts the SID, groups and privileges of an account in the place of its name.
std::string TakeAccount(const std::string& file, SubjectText* subject,
                        std::optional<security::Sid>* domain) {
  accounts::DirectoryStore store;
  if (std::string wrong = store.Load(file); !wrong.empty()) return wrong;
  const std::shared_ptr<const accounts::Directory> directory = store.snapshot().directory;
  if (!*domain) *domain = directory->domain_sid();
  if (IsNobody(*subject)) return {};
  const accounts::Account* const account = directory->FindForLogon(subject->user, "");
  if (account == nullptr) {
    return fmt::format("{} has no account \"{}\"; `ktlsim accounts list {}` shows them",
                       Printable(file), Printable(subject->user), Printable(file));
  }
  if (!accounts::IsUsable(*account, std::time(nullptr))) {
    fmt::print(stderr,
               "ktlsim access: warning: the account is disabled or locked, or has expired\n");
  }
  subject->user = security::SidText(account->sid).view();
  for (const security::Sid& group : account->groups) {
    subject->groups.emplace_back(security::SidText(group).view());
  }
  account->privileges.ForEach([subject](security::Privilege one) {
    subject->privileges.emplace_back(security::NameOf(one));
  });
  return {};
}

// What every token of a logon has; of a client of `serve` also that it came over the network.
// Nobody's has nothing.
void AddLogonGroups(bool network, SubjectText* subject) {
  if (IsNobody(*subject)) {
    subject->integrity = "untrusted";
    return;
  }
  subject->groups.insert(subject->groups.end(), {"S-1-1-0", "S-1-5-11"});
  if (network) subject->groups.emplace_back("S-1-5-2");
}

std::string ReadSubject(const AccessOptions& options, Question* question) {
  SubjectText subject = options.subject;
  if (options.token_file.empty() == subject.user.empty()) {
    return "somebody is needed: --user SID, or --token FILE";
  }
  if (options.token_file.empty()) {
    AddLogonGroups(!options.acl_file.empty(), &subject);
    return Prefixed("--user", MakeSubject(subject, question->domain, &question->token));
  }
  const Result<FileText> read = ReadFile(options.token_file.c_str(), kSubjectBytesMax);
  if (!read.ok()) {
    return fmt::format("--token {}: {}", Printable(options.token_file), read.status().ToString());
  }
  SubjectText named;
  std::string wrong = ParseSubject(read->text(), &named);
  if (wrong.empty()) wrong = MakeSubject(named, question->domain, &question->token);
  return wrong.empty() ? wrong
                       : fmt::format("--token {}: {}", Printable(options.token_file), wrong);
}

// The descriptor that guards a path, as `ktlsim serve` finds it.
std::string ReadGuardedPath(const AccessOptions& options, Question* question) {
  if (!options.sddl.empty() || !options.sddl_file.empty()) {
    return "--acl has the descriptors: leave --sddl and --sddl-file away";
  }
  if (options.path.empty()) return "--acl needs --path, such as /private/page";
  std::string wrong;
  const auto policy = LoadAcl(options.acl_file, question->domain, &wrong);
  if (policy == nullptr) return "--acl: " + wrong;
  const serve::AccessObject object = policy->Find(options.path);
  if (object.refusal != 0) {
    return fmt::format("--path {}: names nothing: `ktlsim serve` responds to it with {}",
                       Printable(options.path), object.refusal);
  }
  question->descriptor = security::Descriptor::Create(object.descriptor());
  question->object = fmt::format(
      "{}, {}", Printable(object.name),
      object.rule != nullptr
          ? fmt::format("guarded by {} ({})", Printable(object.rule->prefix), object.rule->place)
      : object.other_case ? "which a path matches but for upper and lower case: nobody's"
                          : "which no path matches: nobody's");
  question->desired = serve::RightsOfMethod(options.method);
  return {};
}

std::string ReadDescriptorText(const AccessOptions& options, Question* question) {
  if (!options.acl_file.empty()) return ReadGuardedPath(options, question);
  std::string text;
  if (options.sddl.empty() == options.sddl_file.empty()) {
    return "a descriptor is needed: --sddl TEXT, --sddl-file FILE, or --acl FILE with --path";
  }
  if (!options.path.empty()) return "--path needs --acl: the file with the descriptors of paths";
  if (options.rights.empty()) return "--rights: what is asked for is needed, such as FR";
  std::string wrong = ReadPolicyText(options.sddl, options.sddl_file, &text);
  if (!wrong.empty()) return wrong;
  const security::SddlError error =
      security::ParseSddl(text, question->domain, &question->descriptor);
  if (error.fault == security::Fault::kNone) return {};
  return fmt::format("--sddl: byte {}: {}\n{}", error.position + 1, error.what,
                     PointAt(text, error.position));
}

std::string ReadSid(const char* option, const std::string& text,
                    const std::optional<security::Sid>& domain, std::optional<security::Sid>* sid) {
  if (text.empty()) return {};
  return Prefixed(option, ParseSidArgument(text, domain, &sid->emplace()));
}

std::string ReadQuestion(AccessOptions options, Question* question) {
  std::string wrong =
      Prefixed("--kind", ParseWord(options.kind, kObjectKindWords, &question->kind));
  if (wrong.empty()) wrong = ReadSid("--domain", options.domain, std::nullopt, &question->domain);
  if (wrong.empty() && !options.accounts_file.empty()) {
    wrong = Prefixed("--accounts",
                     TakeAccount(options.accounts_file, &options.subject, &question->domain));
  }
  if (wrong.empty()) wrong = ReadSid("--self", options.self, question->domain, &question->self);
  if (wrong.empty()) wrong = ReadDescriptorText(options, question);
  if (wrong.empty()) wrong = ReadSubject(options, question);
  if (wrong.empty() && !options.rights.empty()) {
    wrong = Prefixed("--rights", ParseRights(options.rights, question->kind, &question->desired));
  }
  if (wrong.empty() && !options.json.empty())
    wrong = Prefixed("--json", CheckWritable(options.json));
  return wrong;
}

void PrintToken(const security::TokenState& token, std::FILE* out) {
  fmt::print(out, "user   {}\n", SidInWords(token.user()));
  for (std::size_t i = 1; i < token.sids().size(); ++i) {
    const std::uint32_t attributes = token.attributes(i);
    const bool deny_only = (attributes & security::kGroupDenyOnly) != 0;
    const bool enabled = (attributes & security::kGroupEnabled) != 0;
    fmt::print(out, "group  {}{}\n", SidInWords(token.sids()[i]),
               deny_only ? ", for denying only"
               : enabled ? ""
                         : ", disabled");
  }
  if (const std::optional<security::SidTable>& restricting = token.identity().restricting) {
    for (const security::Sid& sid : restricting->all()) {
      fmt::print(out, "only   {}\n", SidInWords(sid));
    }
  }
  token.privileges().enabled.ForEach(
      [out](security::Privilege one) { fmt::print(out, "has    {}\n", security::NameOf(one)); });
}

void PrintReasons(const Question& question, const AccessReasons& reasons, std::FILE* out) {
  PrintToken(*question.token, out);
  if (!question.object.empty()) fmt::print(out, "object {}\n", question.object);
  fmt::print(out, "asks for {}\n", RightsText(question.kind, question.desired));
  std::size_t width = 5;
  for (const RightReason& one : reasons.rights) {
    width = std::max(width, RightName(question.kind, one.right).size());
  }
  fmt::print(out, "\n{:<{}}  verdict  because\n", "right", width);
  for (const RightReason& one : reasons.rights) {
    fmt::print(out, "{:<{}}  {}  {}\n", RightName(question.kind, one.right), width,
               one.granted ? "granted" : "denied ", one.text);
  }
  fmt::print(out, "\n{}\n",
             reasons.result.allowed
                 ? fmt::format("allowed: {}", RightsText(question.kind, reasons.result.granted))
                 : "denied");
}

nlohmann::json ReasonsJson(const Question& question, const AccessReasons& reasons) {
  nlohmann::json rights = nlohmann::json::array();
  for (const RightReason& one : reasons.rights) {
    rights.push_back(
        {{"right", RightName(question.kind, one.right)},
         {"mask", one.right},
         {"granted", one.granted},
         {"decider", DeciderName(one.decision.decider)},
         {"entry", one.decision.ace >= 0 ? nlohmann::json(one.decision.ace + 1) : nlohmann::json()},
         {"restricting", one.decision.restricting},
         {"text", one.text}});
  }
  nlohmann::json json = SmallEnvelope("access");
  json["user"] = security::SidText(question.token->user()).view();
  json["desired"] = question.desired;
  json["allowed"] = reasons.result.allowed;
  json["granted"] = reasons.result.granted;
  json["rights"] = std::move(rights);
  return json;
}

int RunAccess(const AccessOptions& options) {
  if (options.action != "check") {
    return FailAccess(fmt::format("\"{}\" is not one of check", Printable(options.action)));
  }
  Question question;
  const std::string wrong = ReadQuestion(options, &question);
  if (!wrong.empty() || !question.descriptor) return FailAccess(wrong);
  std::optional<security::SidView> self;
  if (question.self) self = question.self->view();
  const security::AccessRequest request{question.descriptor->view(), *question.token,
                                        question.desired, MappingOf(question.kind), self};
  AccessReasons reasons;
  const security::Fault fault = ExplainAccess(request, question.kind, question.domain, &reasons);
  if (fault != security::Fault::kNone) {
    return FailAccess(fmt::format("{}: the descriptor needs an owner and a group, O: and G:",
                                  security::ToText(fault)));
  }
  PrintReasons(question, reasons, TextOutput(options.json));
  if (!options.json.empty() && !WriteJsonFile(ReasonsJson(question, reasons), options.json)) {
    return kExitUsage;
  }
  return reasons.result.allowed ? kExitOk : kExitFailed;
}

void AddSubjectOptions(CLI::App* command, AccessOptions* options) {
  SubjectText* const subject = &options->subject;
  const auto list = [command](const char* name, std::vector<std::string>* texts, const char* what) {
    command->add_option(name, *texts, what)->type_name("LIST")->delimiter(',');
  };
  command
      ->add_option(
          "--user", subject->user,
          "Who asks: a SID, or with --accounts a name; Everyone and Authenticated Users are "
          "among the groups then")
      ->type_name("USER");
  command
      ->add_option("--accounts", options->accounts_file,
                   "The directory of accounts that has the user, with groups and privileges")
      ->type_name("FILE");
  list("--groups", &subject->groups, "The user's groups, enabled");
  list("--deny-only", &subject->deny_only, "Groups that count in entries that deny only");
  list("--privileges", &subject->privileges, "Enabled privileges, such as SeSecurityPrivilege");
  list("--restricting", &subject->restricting, "The SIDs of a restricted token");
  command
      ->add_option("--integrity", subject->integrity,
                   "untrusted, low, medium, high or system [medium]")
      ->type_name("LEVEL");
  command
      ->add_option("--token", options->token_file,
                   "A TOML file instead, with user, groups, deny-only, disabled, privileges, "
                   "restricting, write-restricted, integrity")
      ->type_name("FILE");
}

}  // namespace

std::function<int()> AddAccessCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("access", "May somebody have access, and why");
  command->group("Commands");
  command->footer(
      "Says for each right which entry of the descriptor decided it, or what else did. Exit code "
      "1: "
      "access is denied.\n\nExample: ktlsim access check --sddl 'O:BAG:BAD:(A;;FR;;;BU)' --user "
      "S-1-5-21-1-2-3-1001 --groups BU --rights FR,DELETE");
  auto options = std::make_shared<AccessOptions>();
  command->add_option("ACTION", options->action, "check")->type_name("")->required();
  command->add_option("--sddl", options->sddl, "The object's descriptor; - reads standard input")
      ->type_name("TEXT");
  command->add_option("--sddl-file", options->sddl_file, "The file that has it")->type_name("FILE");
  command
      ->add_option("--rights", options->rights,
                   "What is asked for: names, words of SDDL and numbers, such as "
                   "FILE_READ_DATA,RC,0x2 or MAXIMUM_ALLOWED; with --acl what --method asks for")
      ->type_name("LIST");
  command
      ->add_option("--acl", options->acl_file,
                   "The access control list of `ktlsim serve`, which has the descriptors of paths")
      ->type_name("FILE");
  command->add_option("--path", options->path, "The path, as a request has it")->type_name("PATH");
  command->add_option("--method", options->method, "The request's method [GET]")
      ->type_name("METHOD");
  AddSubjectOptions(command, options.get());
  command->add_option("--kind", options->kind, "file, folder, key or directory-service [file]")
      ->type_name("KIND");
  command
      ->add_option("--domain", options->domain,
                   "The domain that names such as DA belong to, such as S-1-5-21-1-2-3")
      ->type_name("SID");
  command
      ->add_option("--self", options->self,
                   "The SID that the object is itself, for entries for PS (S-1-5-10)")
      ->type_name("SID");
  command->add_option("--json", options->json, "Write the result there; - is standard output")
      ->type_name("FILE");
  return [options] { return RunAccess(*options); };
}

}  // namespace ktlsim::command
