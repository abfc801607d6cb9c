// Options from flags and TOML. No torch here.
#include "retort/core/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

// toml++ 3.3 asserts what files can break ("[#"), and without asserts takes it for granted.
struct TomlAssertion {};
[[noreturn]] static void refuse_toml() {
  throw TomlAssertion();
}
#undef NDEBUG
#define TOML_ASSERT(expr) ((expr) ? void() : refuse_toml())
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "core/file.h"
#include "core/limits.h"
#include "retort/core/error.h"

namespace retort {
namespace {

std::string underscored(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> words;
  std::stringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');) {
    const size_t first = word.find_first_not_of(" \t"), last = word.find_last_not_of(" \t");
    if (first != std::string::npos) words.push_back(word.substr(first, last - first + 1));
  }
  return words;
}

template <class Number>
bool parse_number(const std::string& text, Number& value) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, problem] = std::from_chars(begin, text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::optional<double> largest_of(const Option::Target& target) {
  if (std::holds_alternative<int64_t*>(target)) return kLargestWhole;
  if (std::holds_alternative<double*>(target)) return kLargestReal;
  return {};
}

bool within(double value, const Limits& limits) {
  return value >= limits.min && value <= limits.max;
}

bool chosen(const std::string& word, const Limits& limits) {
  return limits.choices.empty() ||
         std::find(limits.choices.begin(), limits.choices.end(), word) != limits.choices.end();
}

/// Writes `text` into the option's field if it is acceptable.
struct Assign {
  const std::string& text;
  const Limits& limits;

  bool operator()(bool* field) const {
    const std::optional<bool> value = yes_or_no(text);
    if (!value) return false;
    return *field = *value, true;
  }
  bool operator()(int64_t* field) const {
    int64_t value = 0;
    if (!parse_number(text, value) || !within(value, limits)) return false;
    return *field = value, true;
  }
  bool operator()(double* field) const {
    double value = 0;
    if (!parse_number(text, value) || !std::isfinite(value) || !within(value, limits)) return false;
    return *field = value, true;
  }
  bool operator()(std::string* field) const {
    if (!chosen(text, limits)) return false;
    return *field = text, true;
  }
  bool operator()(std::vector<std::string>* field) const {
    std::vector<std::string> words = split_commas(text);
    for (const std::string& word : words)
      if (!chosen(word, limits)) return false;
    return *field = std::move(words), true;
  }
};

std::string toml_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string toml_value(const Option& option) {
  if (const auto* text = std::get_if<std::string*>(&option.target)) return toml_quoted(**text);
  if (const auto* list = std::get_if<std::vector<std::string>*>(&option.target)) {
    std::vector<std::string> words;
    for (const std::string& word : **list) words.push_back(toml_quoted(word));
    return fmt::format("[{}]", fmt::join(words, ", "));
  }
  return option.text();
}

std::string text_of(const toml::node& node, const std::string& path, const std::string& key) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return fmt::format("{}", value->get());
  if (const auto* value = node.as_floating_point()) return number_text(value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::vector<std::string> words;
    for (const auto& item : *list) words.push_back(text_of(item, path, key));
    return fmt::format("{}", fmt::join(words, ","));
  }
  throw DataError(ErrorMessage{"reading '" + path + "'",
                               fmt::format("key '{}' is a table or a date", key),
                               "flat keys: texts, numbers, true or false, and lists of them",
                               "write the key at the top level"});
}

}  // namespace

std::optional<bool> yes_or_no(std::string_view word) {
  for (const std::string_view yes : {"yes", "true", "on", "1"})
    if (word == yes) return true;
  for (const std::string_view no : {"no", "false", "off", "0"})
    if (word == no) return false;
  return {};
}

std::string Option::flag() const {
  std::string text = "--" + name;
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

std::string Option::type_name() const {
  static constexpr const char* kNames[] = {"yes|no", "integer", "number", "text", "list"};
  return kNames[target.index()];
}

std::string Option::accepted() const {
  if (!limits.choices.empty())
    return (type_name() == "list" ? "any of " : "one of ") +
           fmt::format("{}", fmt::join(limits.choices, ", "));
  if (type_name() == "yes|no") return "yes or no";
  if (type_name() == "list") return "words separated by commas";
  if (type_name() == "text") return "text";
  const bool whole = type_name() == "integer";
  const auto number = [&](double value) {
    return whole ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
  };
  const std::string kind = whole ? "an integer" : "a number", low = number(limits.min);
  if (limits.max == (whole ? kLargestWhole : kLargestReal))
    return fmt::format("{} of at least {} and at most {}", kind, low, number(limits.max));
  return fmt::format("{} from {} to {}", kind, low, number(limits.max));
}

std::string Option::text() const {
  if (const auto* field = std::get_if<bool*>(&target)) return **field ? "true" : "false";
  if (const auto* field = std::get_if<int64_t*>(&target)) return fmt::format("{}", **field);
  if (const auto* field = std::get_if<double*>(&target)) return number_text(**field);
  if (const auto* field = std::get_if<std::string*>(&target)) return **field;
  return fmt::format("{}", fmt::join(*std::get<std::vector<std::string>*>(target), ","));
}

void Problems::raise(const std::string& doing) const {
  if (!problems_.empty()) throw ConfigError::many(doing, problems_);
}

Option& OptionSet::insert(std::string name, Option::Target target, std::string help, Limits limits,
                          Role role) {
  if (const auto largest = largest_of(target)) {
    limits.min = std::max(limits.min, -*largest);
    if (!std::isfinite(limits.max)) limits.max = *largest;
  }
  options_.push_back(
      {std::move(name), std::move(help), group_, std::move(limits), role, target, {}, false});
  options_.back().default_text = options_.back().text();
  return options_.back();
}

std::vector<std::string> OptionSet::names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back(option.name);
  return names;
}

const Option* OptionSet::find(std::string_view name) const {
  for (const Option& option : options_)
    if (option.name == name) return &option;
  return nullptr;
}

void OptionSet::set(std::string_view name, const std::string& text, const std::string& origin,
                    Problems& problems) {
  auto* option = const_cast<Option*>(find(underscored(name)));
  if (!option) {
    const std::string near = nearest(underscored(name), names());
    problems.add(fmt::format("{}: there is no option '{}'{}", origin, name,
                             near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
    return;
  }
  option->was_set = true;
  if (std::visit(Assign{text, option->limits}, option->target)) return;
  const std::string near = nearest(text, option->limits.choices);
  problems.add(fmt::format("{}: '{}' is not accepted for {}: it takes {}{}", origin, text,
                           option->name, option->accepted(),
                           near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

void OptionSet::read_toml(const std::string& path, Problems& problems,
                          const std::vector<std::string>& ignore) {
  for (const auto& [key, text] : read_flat_toml(path))
    if (std::find(ignore.begin(), ignore.end(), key) == ignore.end())
      set(key, text, path + ": " + key, problems);
}

std::string OptionSet::toml() const {
  std::string text;
  for (const Option& option : options_) text += option.name + " = " + toml_value(option) + "\n";
  return text;
}

std::vector<std::pair<std::string, std::string>> read_flat_toml(const std::string& path) {
  return parse_flat_toml(read_file(path, uint64_t{1} << 20), path);
}

std::vector<std::pair<std::string, std::string>> parse_flat_toml(const std::string& bytes,
                                                                 const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(bytes, path);
  } catch (const toml::parse_error& problem) {
    throw DataError(
        ErrorMessage{"reading '" + path + "'",
                     fmt::format("line {}: {}", problem.source().begin.line, problem.description()),
                     "TOML: key = value lines", "mend that line"});
  } catch (const TomlAssertion&) {
    throw DataError(ErrorMessage{"reading '" + path + "'", "a line that is no TOML",
                                 "TOML: key = value lines",
                                 "look for a line that begins with '['"});
  }
  // The table is sorted by key; a recipe's order is the order of its lines.
  std::vector<std::pair<uint32_t, std::pair<std::string, std::string>>> lines;
  for (const auto& [key, node] : table)
    lines.push_back({node.source().begin.line,
                     {std::string(key.str()), text_of(node, path, std::string(key.str()))}});
  std::sort(lines.begin(), lines.end());
  std::vector<std::pair<std::string, std::string>> flat;
  for (auto& line : lines) flat.push_back(std::move(line.second));
  return flat;
}

}  // namespace retort
