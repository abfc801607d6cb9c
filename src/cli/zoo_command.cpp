// retort zoo: the sets that come with the program, with what made them and what they are worth.
#include <fmt/format.h>

#include <filesystem>
#include <ostream>

#include "cli/arguments.h"
#include "cli/zoo.h"
#include "core/file.h"
#include "core/registry.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/io/tensor_file.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

std::string toml_of(ZooCard card) {
  OptionSet options;
  card.declare(options);
  return options.toml();
}

Json json_of(ZooCard card) {
  OptionSet options;
  card.declare(options);
  Json json{{"name", card.name}};
  for (const Option& option : options.all())
    std::visit([&](const auto* value) { json[option.name] = *value; }, option.target);
  return json;
}

void print_all(const Environment& environment, const std::vector<ZooCard>& cards) {
  std::vector<std::vector<std::string>> rows{
      {"set", "images", "labels", "protocol", "accuracy %", "random", "published"}};
  for (const ZooCard& card : cards)
    rows.push_back({card.name, std::to_string(card.images), card.labels, card.protocol,
                    fmt::format("{:.1f} ± {:.1f}", card.accuracy, card.deviation), card.random,
                    card.published});
  environment.out << aligned(rows)
                  << "\nretort zoo NAME shows a card; with --out FOLDER the set is copied there.\n";
}

/// The set and its card, under the names that they have in the zoo.
void copy(const fs::path& zoo, const ZooCard& card, const std::string& out) {
  const fs::path from = zoo / (card.name + ".safetensors"), to = fs::path(out) / from.filename();
  if (fs::exists(to))
    throw ConfigError(ErrorMessage{"copying the set '" + card.name + "' to '" + out + "'",
                                   "'" + to.string() + "' is there already",
                                   {},
                                   "name another folder with --out"});
  const std::string bytes = read_file(from);
  const std::string found = load_tensors(from).metadata["content_hash"];
  if (found != card.content_hash)
    throw DataError::damaged(
        from.string(), "its content hash is " + found + ", its card says " + card.content_hash);
  write_atomically(fs::path(out) / (card.name + ".toml"), toml_of(card));
  write_atomically(to, bytes);
}

void list(const Environment& environment, const fs::path& zoo, bool json) {
  const std::vector<ZooCard> cards = zoo_cards(zoo);
  if (!json) return print_all(environment, cards);
  Json all = Json::array();
  for (const ZooCard& card : cards) all.push_back(json_of(card));
  environment.out << json_text(all, 2) << "\n";
}

}  // namespace

int run_zoo(const Environment& environment, const Arguments& arguments) {
  std::string name, out, folder, add;
  bool json = false;
  OptionSet set;
  set.add("out", out, "copies the set and its card to this folder");
  set.add("folder", folder, "another zoo; empty: the one that came with the program");
  set.add("add", add,
          "a finished folder of retort reproduce: its set goes into the zoo under this name");
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{
      "zoo", "Lists, shows and copies the distilled sets that come with the program.",
      "Examples:\n  retort zoo\n  retort zoo NAME\n"
      "  retort zoo NAME --out sets && retort eval sets/NAME.safetensors --data DATA\n"};
  if (!parse(environment, usage, arguments, set,
             {{"name", "one of the sets; all where absent", &name, false}}))
    return 0;
  const fs::path zoo = folder.empty() ? zoo_folder() : fs::path(folder);
  if (name.empty()) {
    if (!out.empty() || !add.empty())
      throw ConfigError(ErrorMessage{"reading the options of 'retort zoo'",
                                     "--out and --add without the name of a set",
                                     {},
                                     "give the name, as in 'retort zoo NAME --out FOLDER'"});
    list(environment, zoo, json);
    return 0;
  }
  if (!add.empty()) add_to_zoo(zoo, name, add);
  const std::vector<ZooCard> cards = zoo_cards(zoo);
  const ZooCard& card = find_entry(std::span<const ZooCard>(cards), "set of the zoo", name);
  if (!out.empty()) {
    copy(zoo, card, out);
    environment.err << fmt::format("copied to {}\n",
                                   (fs::path(out) / (name + ".safetensors")).string());
  }
  if (json)
    environment.out << json_text(json_of(card), 2) << "\n";
  else
    environment.out << "# " << card.name << "\n" << toml_of(card);
  return 0;
}

}  // namespace retort::cli
