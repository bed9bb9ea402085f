// MetricsText: writes the text exposition format of Prometheus, version 0.0.4.
//
// A family is begun once, with its help, and its samples follow. The values of labels may be any
// bytes: what the format reserves is escaped, and what is not UTF-8 is replaced.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ktlsim::command {

class MetricsText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  struct Label {
    std::string_view name;
    std::string_view value;
  };
  using Labels = std::initializer_list<Label>;
  // How many measurements took at most so long; not the ones of the classes before it.
  struct TimeClass {
    std::uint64_t longest_ns;
    std::uint64_t calls;
  };

  // `name` without a counter's "_total", which its samples get.
  void Counter(std::string_view name, std::string_view help);
  void Gauge(std::string_view name, std::string_view help);
  // In seconds.
  void Histogram(std::string_view name, std::string_view help);

  // Of the family that was begun last.
  void Add(std::uint64_t value, Labels labels = {});
  void AddSeconds(std::uint64_t ns, Labels labels = {});
  // `classes` in ascending order; `above`: those that took longer than any of them.
  void AddTimes(std::span<const TimeClass> classes, std::uint64_t above, std::uint64_t total_ns,
                Labels labels);

  const std::string& text() const { return text_; }
  std::string Take() { return std::move(text_); }

 private:
  void Begin(std::string_view name, std::string_view type, std::string_view help);
  void Sample(std::string_view suffix, Labels labels, std::string_view end, std::string_view value);

  std::string text_;
  std::string family_;
};

}  // namespace ktlsim::command
