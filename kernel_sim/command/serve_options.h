// The options of `ktlsim serve` on the command line, made from its settings.
#pragma once

#include <list>
#include <string>
#include <vector>

#include "kernel_sim/command/serve_settings.h"

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

class ServeOptions {
 public:
  ServeOptions() = default;
  ServeOptions(const ServeOptions&) = delete;
  ServeOptions& operator=(const ServeOptions&) = delete;

  // Must live until `app` has parsed.
  void AddTo(CLI::App& app);

  // What was said, as often as wanted. Empty: done; else "--option: what is wrong".
  std::string Apply(SettingScope& scope) const;

  const std::string& config_file() const { return config_file_; }
  bool check() const { return check_; }

 private:
  struct Option {
    const Setting* setting;
    std::vector<std::string> values;
    bool flag = false;
  };

  void AddOption(CLI::App& app, const Setting& setting);

  std::list<Option> options_;  // the parser has their addresses
  std::string config_file_;
  bool check_ = false;
};

}  // namespace ktlsim::command
