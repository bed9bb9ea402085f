#include "kernel_sim/command/metrics_text.h"

#include <iterator>

#include <fmt/format.h>

namespace ktlsim::command {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsContinuation(unsigned char byte) { return (byte & 0xC0U) == 0x80U; }

// How many bytes the first character of `text` has (RFC 3629 4); 0: it is none.
std::size_t CharacterBytes(std::string_view text) {
  const auto at = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  std::size_t bytes = 0;
  if (first >= 0xC2 && first <= 0xDF) bytes = 2;
  if (first >= 0xE0 && first <= 0xEF) bytes = 3;
  if (first >= 0xF0 && first <= 0xF4) bytes = 4;
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!IsContinuation(at(i))) return 0;
  }
  const bool overlong = (first == 0xE0 && at(1) < 0xA0) || (first == 0xF0 && at(1) < 0x90);
  const bool surrogate = first == 0xED && at(1) >= 0xA0;
  const bool too_high = first == 0xF4 && at(1) >= 0x90;
  return overlong || surrogate || too_high ? 0 : bytes;
}

// In the help a quote stands for itself.
void AppendEscaped(std::string_view text, bool escape_quotes, std::string* out) {
  while (!text.empty()) {
    const std::size_t bytes = CharacterBytes(text);
    const std::string_view character = text.substr(0, bytes == 0 ? 1 : bytes);
    if (bytes == 0) {
      *out += kReplacement;
    } else if (character == "\\") {
      *out += "\\\\";
    } else if (character == "\n") {
      *out += "\\n";
    } else if (character == "\"" && escape_quotes) {
      *out += "\\\"";
    } else {
      *out += character;
    }
    text.remove_prefix(character.size());
  }
}

// Every nanosecond is told apart: a double has fewer digits than that from 104 days on.
std::string SecondsText(std::uint64_t ns) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  std::string text = fmt::format("{}.{:09}", ns / kSecond, ns % kSecond);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

void MetricsText::Counter(std::string_view name, std::string_view help) {
  Begin(fmt::format("{}_total", name), "counter", help);
}

void MetricsText::Gauge(std::string_view name, std::string_view help) {
  Begin(name, "gauge", help);
}

void MetricsText::Histogram(std::string_view name, std::string_view help) {
  Begin(fmt::format("{}_seconds", name), "histogram", help);
}

void MetricsText::Begin(std::string_view name, std::string_view type, std::string_view help) {
  family_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} ", family_);
  AppendEscaped(help, /*escape_quotes=*/false, &text_);
  fmt::format_to(std::back_inserter(text_), "\n# TYPE {} {}\n", family_, type);
}

void MetricsText::Sample(std::string_view suffix, Labels labels, std::string_view end,
                         std::string_view value) {
  text_ += family_;
  text_ += suffix;
  const bool any = labels.size() != 0 || !end.empty();
  char before = '{';
  for (const Label& label : labels) {
    text_ += before;
    text_ += label.name;
    text_ += "=\"";
    AppendEscaped(label.value, /*escape_quotes=*/true, &text_);
    text_ += '"';
    before = ',';
  }
  if (!end.empty()) fmt::format_to(std::back_inserter(text_), "{}le=\"{}\"", before, end);
  if (any) text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void MetricsText::Add(std::uint64_t value, Labels labels) {
  Sample("", labels, "", fmt::to_string(value));
}

void MetricsText::AddSeconds(std::uint64_t ns, Labels labels) {
  Sample("", labels, "", SecondsText(ns));
}

void MetricsText::AddTimes(std::span<const TimeClass> classes, std::uint64_t above,
                           std::uint64_t total_ns, Labels labels) {
  std::uint64_t calls = 0;
  for (const TimeClass& one : classes) {
    calls += one.calls;
    Sample("_bucket", labels, SecondsText(one.longest_ns), fmt::to_string(calls));
  }
  calls += above;
  Sample("_bucket", labels, "+Inf", fmt::to_string(calls));
  Sample("_sum", labels, "", SecondsText(total_ns));
  Sample("_count", labels, "", fmt::to_string(calls));
}

}  // namespace ktlsim::command
