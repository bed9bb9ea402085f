#include "kernel_sim/command/config_file.h"

#include <toml++/toml.h>

#include <cstddef>

#include <fmt/format.h>

#include "kernel_sim/base/file.h"
#include "kernel_sim/base/toml_depth.h"

namespace ktlsim::command {
namespace {

using Form = SettingForm;

// Some ten thousand listeners.
constexpr std::size_t kConfigBytesMax = 4 << 20;
constexpr std::string_view kListenerTable = "listener";

// A value as the text that an option would have. False: it has no such form.
bool TextOf(const toml::node& node, std::string* text) {
  if (const auto* string = node.as_string()) {
    *text = string->get();
    return true;
  }
  if (const auto* integer = node.as_integer()) {
    *text = std::to_string(integer->get());
    return true;
  }
  return false;
}

class Reader {
 public:
  Reader(std::string name, ServeConfig& config) : name_(std::move(name)), config_(config) {}

  // The top level, without the listeners.
  std::string ReadTop(const toml::table& top, SettingScope& scope) {
    for (const auto& [key, node] : top) {
      if (key.str() == kListenerTable) continue;
      std::string wrong = Read(key.str(), node, scope, /*in_listener=*/false);
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

  // Each listener begins as `base`.
  std::string ReadListeners(const toml::table& top, const ListenerConfig& base) {
    const toml::node* const node = top.get(kListenerTable);
    if (node == nullptr) return {};
    const toml::array* const tables = node->as_array();
    if (tables == nullptr || !tables->is_array_of_tables()) {
      return At(*node, kListenerTable, "write [[listener]], with two brackets on each side");
    }
    for (const toml::node& entry : *tables) {
      std::string wrong = ReadListener(*entry.as_table(), base);
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

 private:
  std::string At(const toml::node& node, std::string_view key, std::string_view wrong) const {
    return fmt::format("{}:{}: key `{}`: {}", name_, node.source().begin.line, key, wrong);
  }

  std::string ReadListener(const toml::table& table, const ListenerConfig& base) {
    ListenerConfig listener = base;
    // An address belongs to one listener.
    listener.listen.clear();
    SettingScope scope{config_, listener};
    for (const auto& [key, node] : table) {
      std::string wrong = Read(key.str(), node, scope, /*in_listener=*/true);
      if (!wrong.empty()) return wrong;
    }
    const std::string wrong = CheckListener(listener);
    if (!wrong.empty()) {
      return fmt::format("{}:{}: [[listener]]: {}", name_, table.source().begin.line, wrong);
    }
    config_.listeners.push_back(std::move(listener));
    return {};
  }

  std::string Read(std::string_view key, const toml::node& node, SettingScope& scope,
                   bool in_listener) {
    const Setting* const setting = FindSetting(key);
    if (setting == nullptr) {
      const std::string similar = SimilarSetting(key);
      return At(node, key,
                similar.empty() ? "unknown; `ktlsim serve --help` lists the options, which are the "
                                  "keys"
                                : fmt::format("unknown; did you mean `{}`?", similar));
    }
    if (in_listener && setting->of_process) {
      return At(node, key, "is for the whole process: put it above the first [[listener]]");
    }
    switch (setting->form) {
      case Form::kFlag:
        return ReadFlag(*setting, node, scope);
      case Form::kList:
        return ReadList(*setting, node, scope);
      case Form::kOne:
        break;
    }
    return ReadOne(*setting, node, scope, "a text or a whole number is needed");
  }

  std::string ReadFlag(const Setting& setting, const toml::node& node, SettingScope& scope) const {
    const auto* const boolean = node.as_boolean();
    if (boolean == nullptr) return At(node, setting.name, "write true or false");
    return Apply(setting, node, scope, boolean->get() ? "true" : "false");
  }

  std::string ReadOne(const Setting& setting, const toml::node& node, SettingScope& scope,
                      std::string_view needed) const {
    std::string text;
    if (!TextOf(node, &text)) return At(node, setting.name, needed);
    return Apply(setting, node, scope, text);
  }

  std::string ReadList(const Setting& setting, const toml::node& node, SettingScope& scope) const {
    constexpr std::string_view kNeeded = "a text or a list of texts is needed";
    const toml::array* const array = node.as_array();
    if (array == nullptr) return ReadOne(setting, node, scope, kNeeded);
    for (const toml::node& entry : *array) {
      std::string wrong = ReadOne(setting, entry, scope, kNeeded);
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

  std::string Apply(const Setting& setting, const toml::node& node, SettingScope& scope,
                    const std::string& value) const {
    const std::string wrong = ApplySetting(setting, scope, value);
    if (!wrong.empty()) return At(node, setting.name, wrong);
    scope.listener.places.Note(setting.name, setting.form == Form::kList ? value : "",
                               fmt::format("{}:{}", name_, node.source().begin.line));
    return {};
  }

  const std::string name_;
  ServeConfig& config_;
};

std::string Assemble(const toml::table& top, const std::string& name,
                     const std::function<std::string(SettingScope&)>& options,
                     ServeConfig* config) {
  ListenerConfig base;
  Reader reader(name, *config);
  SettingScope file_scope{*config, base};
  std::string wrong = reader.ReadTop(top, file_scope);
  if (!wrong.empty()) return wrong;
  SettingScope option_scope{*config, base};
  wrong = options(option_scope);
  if (!wrong.empty()) return wrong;
  wrong = reader.ReadListeners(top, base);
  if (!wrong.empty()) return wrong;
  // The top level is a listener of its own if it has an address, or if there is no other one.
  if (config->listeners.empty() || !base.listen.empty()) {
    wrong = CheckListener(base);
    if (!wrong.empty()) return name.empty() ? wrong : name + ": " + wrong;
    config->listeners.push_back(base);
  }
  wrong = CheckAddresses(*config);
  if (wrong.empty()) wrong = CheckRealms(*config);
  if (wrong.empty()) wrong = CheckAccess(*config);
  return wrong.empty() ? CheckStore(config->store) : wrong;
}

}  // namespace

std::string ParseConfig(const std::string& text, const std::string& name,
                        const std::function<std::string(SettingScope&)>& options,
                        ServeConfig* config) {
  *config = {};
  if (const std::size_t line = LineTooDeep(text); line != 0) {
    return fmt::format(
        "{}:{}: a key of more than {} parts, or more than {} brackets in each other; no setting "
        "needs that",
        name, line, kKeyPartsMax, kNestingMax);
  }
  try {
    return Assemble(toml::parse(text, name), name, options, config);
  } catch (const toml::parse_error& error) {
    return fmt::format("{}:{}: not TOML: {}", name, error.source().begin.line, error.description());
  }
}

std::string LoadConfig(const std::string& path,
                       const std::function<std::string(SettingScope&)>& options,
                       ServeConfig* config) {
  if (path.empty()) return ParseConfig("", "", options, config);
  const Result<FileText> file = ReadFile(path.c_str(), kConfigBytesMax);
  if (!file) {
    return fmt::format("--config {}: {}; name a file that can be read", path,
                       file.status().ToString());
  }
  return ParseConfig(std::string(file->text()), path, options, config);
}

}  // namespace ktlsim::command
