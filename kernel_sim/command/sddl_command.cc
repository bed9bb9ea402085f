// `ktlsim sddl explain`: a security descriptor's text in words.

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/command.h"
#include "kernel_sim/command/policy_words.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/small_result.h"

namespace ktlsim::command {
namespace {

struct SddlOptions {
  std::string action;
  std::string text;
  std::string file;
  std::string kind = "file";
  std::string domain;
  std::string json;
};

int FailSddl(const std::string& why, int code = kExitUsage) {
  fmt::print(stderr, "ktlsim sddl: {}\n", why);
  return code;
}

std::string FlagsInWords(std::uint16_t control, std::uint16_t is_protected, std::uint16_t inherited,
                         std::uint16_t requested) {
  std::string text;
  if ((control & is_protected) != 0) text += ", protected: it inherits nothing";
  if ((control & inherited) != 0) text += ", inherited automatically";
  if ((control & requested) != 0) text += ", to be inherited automatically";
  return text;
}

void PrintList(const char* name, const std::optional<security::AclView>& list,
               const std::string& flags, ObjectKind kind,
               const std::optional<security::Sid>& domain, std::FILE* out) {
  if (!list) {
    fmt::print(out, "{}: NULL{}\n", name, flags);
    return;
  }
  fmt::print(out, "{}: {} entr{}{}\n", name, list->count(), list->count() == 1 ? "y" : "ies",
             flags);
  std::size_t index = 0;
  for (const security::AceView ace : *list) {
    fmt::print(out, "  {}  {}\n     {}\n", ++index, AceText(ace, domain), AceInWords(ace, kind));
  }
}

void PrintDescriptor(const security::DescriptorView& view, ObjectKind kind,
                     const std::optional<security::Sid>& domain,
                     const std::vector<std::string>& warnings, std::FILE* out) {
  fmt::print(out, "owner: {}\n", view.owner ? SidInWords(*view.owner) : "none");
  fmt::print(out, "group: {}\n", view.group ? SidInWords(*view.group) : "none");
  if (view.dacl_present()) {
    PrintList("DACL", view.dacl,
              FlagsInWords(view.control, security::kDaclProtected, security::kDaclAutoInherited,
                           security::kDaclAutoInheritReq),
              kind, domain, out);
  } else {
    fmt::print(out, "DACL: none\n");
  }
  if (view.sacl_present()) {
    PrintList("SACL", view.sacl,
              FlagsInWords(view.control, security::kSaclProtected, security::kSaclAutoInherited,
                           security::kSaclAutoInheritReq),
              kind, domain, out);
  }
  for (const std::string& warning : warnings) fmt::print(out, "warning: {}\n", warning);
}

nlohmann::json ListJson(bool present, const std::optional<security::AclView>& list, ObjectKind kind,
                        const std::optional<security::Sid>& domain) {
  if (!present) return nullptr;
  nlohmann::json entries = nlohmann::json::array();
  if (!list) return {{"null", true}, {"entries", entries}};
  for (const security::AceView ace : *list) {
    const bool known = ace.layout() != security::AceLayout::kOther;
    entries.push_back(
        {{"text", AceText(ace, domain)},
         {"words", AceInWords(ace, kind)},
         {"type", static_cast<unsigned>(ace.type())},
         {"flags", static_cast<unsigned>(ace.flags())},
         {"mask", known ? nlohmann::json(ace.mask()) : nlohmann::json()},
         {"sid", known ? nlohmann::json(security::SidText(ace.sid()).view()) : nlohmann::json()}});
  }
  return {{"null", false}, {"entries", entries}};
}

nlohmann::json DescriptorJson(const security::DescriptorView& view, ObjectKind kind,
                              const std::optional<security::Sid>& domain,
                              const std::vector<std::string>& warnings) {
  const auto sid = [](const std::optional<security::SidView>& one) {
    return one ? nlohmann::json(security::SidText(*one).view()) : nlohmann::json();
  };
  return {{"owner", sid(view.owner)},
          {"group", sid(view.group)},
          {"control", view.control},
          {"dacl", ListJson(view.dacl_present(), view.dacl, kind, domain)},
          {"sacl", ListJson(view.sacl_present(), view.sacl, kind, domain)},
          {"warnings", warnings}};
}

int FinishSddl(const SddlOptions& options, const nlohmann::json& descriptor,
               const nlohmann::json& error, int code) {
  if (options.json.empty()) return code;
  nlohmann::json json = SmallEnvelope("sddl");
  json["kind"] = options.kind;
  json["descriptor"] = descriptor;
  json["error"] = error;
  return WriteJsonFile(json, options.json) ? code : kExitFailed;
}

int Explain(const SddlOptions& options, ObjectKind kind,
            const std::optional<security::Sid>& domain) {
  std::string text;
  std::string wrong = ReadPolicyText(options.text, options.file, &text);
  if (wrong.empty() && !options.json.empty()) wrong = CheckWritable(options.json);
  if (!wrong.empty()) return FailSddl(wrong);
  std::optional<security::Descriptor> descriptor;
  const security::SddlError error = security::ParseSddl(text, domain, &descriptor);
  if (error.fault != security::Fault::kNone || !descriptor) {
    fmt::print(stderr, "ktlsim sddl: byte {}: {}\n{}\n", error.position + 1, error.what,
               PointAt(text, error.position));
    return FinishSddl(options, nullptr,
                      {{"position", error.position},
                       {"what", error.what},
                       {"code", static_cast<std::uint32_t>(error.fault)}},
                      kExitFailed);
  }
  const std::vector<std::string> warnings = PolicyWarnings(descriptor->view(), kind);
  PrintDescriptor(descriptor->view(), kind, domain, warnings, TextOutput(options.json));
  return FinishSddl(options, DescriptorJson(descriptor->view(), kind, domain, warnings), nullptr,
                    kExitOk);
}

int RunSddl(const SddlOptions& options) {
  if (options.action != "explain") {
    return FailSddl(fmt::format("\"{}\" is not one of explain", Printable(options.action)));
  }
  ObjectKind kind = ObjectKind::kFile;
  std::string wrong = ParseWord(options.kind, kObjectKindWords, &kind);
  if (!wrong.empty()) return FailSddl("--kind: " + wrong);
  std::optional<security::Sid> domain;
  if (!options.domain.empty()) {
    wrong = ParseSidArgument(options.domain, std::nullopt, &domain.emplace());
    if (!wrong.empty()) return FailSddl("--domain: " + wrong);
  }
  return Explain(options, kind, domain);
}

}  // namespace

std::function<int()> AddSddlCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("sddl", "A security descriptor's text in words");
  command->group("Commands");
  command->footer(
      "Shows owner, group and each entry, and warns of what may not be meant. Exit code 1: the "
      "text is no descriptor; a caret shows where.\n\nExample: ktlsim sddl explain "
      "'O:BAG:SYD:(A;;FR;;;WD)'");
  auto options = std::make_shared<SddlOptions>();
  command->add_option("ACTION", options->action, "explain")->type_name("")->required();
  command->add_option("TEXT", options->text, "The descriptor; - reads standard input")
      ->type_name("");
  command->add_option("--file", options->file, "The file that has it")->type_name("FILE");
  command
      ->add_option("--kind", options->kind,
                   "What it guards: file, folder, key or directory-service; rights have other "
                   "names then [file]")
      ->type_name("KIND");
  command
      ->add_option("--domain", options->domain,
                   "The domain that names such as DA belong to, such as S-1-5-21-1-2-3")
      ->type_name("SID");
  command->add_option("--json", options->json, "Write the result there; - is standard output")
      ->type_name("FILE");
  return [options] { return RunSddl(*options); };
}

}  // namespace ktlsim::command
