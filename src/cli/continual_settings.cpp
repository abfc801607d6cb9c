#include "cli/continual_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "augment/siamese.h"
#include "core/limits.h"
#include "core/registry.h"
#include "retort/core/error.h"
#include "retort/eval/evaluate.h"
#include "synthetic/memories.h"

namespace retort::cli {
namespace {

bool is_baseline(const std::string& method) {
  return method == "online" || method == "replay";
}

bool is_number_of_images(const std::string& text) {
  int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, count);
  return problem == std::errc() && stop == end && count >= 0 &&
         static_cast<double>(count) <= kLargestWhole;
}

/// Sets an option that the program chooses.
void choose(OptionSet& set, const char* name, int64_t value) {
  Problems none;
  set.set(name, std::to_string(value), "the stream", none);
  none.raise("settling the options of a stream");
}

}  // namespace

Continual::Continual(const std::string& stream_name, const std::string& method_name,
                     const std::string& parametrisation_name) {
  const continual::StreamKind& kind = continual::find_stream(stream_name);
  stream.take(kind);
  if (is_baseline(method_name)) {
    baseline_.method = method_name;
    find_entry(std::span(synthetic::parametrisation_table()), "parametrisation",
               parametrisation_name);
  } else {
    std::vector<std::string> names = names_of(std::span(methods::method_table()));
    names.insert(names.end(), {"online", "replay"});
    if (std::find(names.begin(), names.end(), method_name) == names.end())
      throw ConfigError::unknown("choosing the method", "method", method_name, names);
    experiment.emplace(method_name, parametrisation_name);
    // Where pixels are permuted, neighbours have nothing in common that a coarser basis could hold.
    const bool permuted = kind.name.find("permutations") != std::string::npos;
    if (permuted && experiment->options().find("downsample"))
      choose(experiment->options(), "downsample", 1);
  }
  loop().network = kind.network;
  loop().protocol = kind.protocol;
  loop().images_per_class = kind.once ? "auto" : "20";
  if (!kind.new_classes) loop().augmentation = "none";  // it knows upright images only
  uses = is_baseline(method_name) ? std::vector<std::string>{method_name}
         : kind.once              ? std::vector<std::string>{"retrain", "rehearsal"}
                                  : std::vector<std::string>{"retrain"};
}

void Continual::declare(OptionSet& set) {
  stream.declare(set);
  if (experiment) {
    set.add("uses", uses, "how the stored sets are used",
            {.choices = kind().once ? std::vector<std::string>{"retrain", "rehearsal"}
                                    : std::vector<std::string>{"retrain"}},
            Role::kExecution);
    set.add("name", name,
            "name of this method with these options on the page; empty: the method's own", {},
            Role::kExecution);
    experiment->declare(set);
  } else {
    set.add("method", loop().method, "the method; `retort list methods` shows more");
    set.add("network", loop().network, "the network that learns");
    set.add("protocol", loop().protocol, "of methods with stored sets; one for all in a folder");
    set.add("seed", loop().seed, "seed of all random draws", {.min = 0, .max = kLargestSeed});
  }
  set.group("Data");
  data.declare(set);
  machine.declare(set);
  set.group("Run");
  set.add("out", out, "the folder of the stream", {}, Role::kExecution);
}

void Continual::declare_shared(OptionSet& set) {
  stream.declare(set);
  set.add("network", loop().network, "");
  set.add("protocol", loop().protocol, "");
  set.add("seed", loop().seed, "", {.max = kLargestSeed});
  if (!kind().once) set.add("images_per_class", loop().images_per_class, "");
  data.declare(set);
}

void Continual::check() const {
  Problems problems;
  if (out.empty()) problems.add("missing: --out, the folder of the stream");
  if (!experiment && !kind().once)
    problems.add("'" + loop().method + "' learns streams that are seen once: " +
                 "rotations, permutations, many-permutations or incremental");
  if (name.empty() || name == "cache" || name.front() == '.' ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
          std::string::npos)
    problems.add("--name '" + name + "' is not a name of letters, digits, - and _");
  if (uses.empty()) problems.add("--uses is empty: give retrain, rehearsal or both");
  if (loop().validate_every > 0)
    problems.add("--validate-every: a task has no validation part; leave it out");
  if (!loop().init_from.empty())
    problems.add("--init-from: the sets of tasks start from their own samples; leave it out");
  const bool automatic = kind().once && loop().images_per_class == "auto";
  if (!automatic && !is_number_of_images(loop().images_per_class))
    problems.add("--images-per-class takes a number here" +
                 std::string(kind().once ? ", or auto: what --memory allows" : "") + ", not '" +
                 loop().images_per_class + "'");
  const eval::Protocol& protocol =
      find_entry(std::span(eval::protocols()), "protocol", loop().protocol);
  if (protocol.ordered || protocol.training.loss != losses::Kind::kCrossEntropy)
    problems.add("--protocol " + loop().protocol +
                 ": sets of several tasks are learned together, in any order and by "
                 "cross-entropy: give dm, dc, rtp, short or demo");
  augment::parse_strategy(loop().augmentation == "auto" ? "none" : loop().augmentation);
  problems.raise("reading the options of 'retort continual'");
}

double Continual::budget_bytes(const data::Dataset& all) const {
  if (!kind().once) return 0;
  return static_cast<double>(stream.memory) / static_cast<double>(stream.tasks) *
         static_cast<double>(all.channels * all.height * all.width * int64_t{sizeof(float)});
}

/// Bases and addressing matrices that a task's part of the memory holds, which may be less than an
/// image of each class: at most four fifths of it are bases.
void Continual::settle_memories(const continual::TaskStream& drawn, OptionSet& given) {
  const data::Dataset& all = drawn.data();
  synthetic::SetLayout images{std::vector<int64_t>(drawn.task(0).classes.size(), 0), all.channels,
                              all.height, all.width};
  const int64_t share = stream.memory / stream.tasks;
  images.counts[0] = share;  // how many, not of which class
  const int64_t downsample = std::stoll(given.find("downsample")->text());
  const int64_t most = share * downsample * downsample * 4 / 5;
  const int64_t bases = std::stoll(given.find("bases")->text());
  if (!given.find("bases")->was_set) choose(given, "bases", std::clamp<int64_t>(most, 1, bases));
  const int64_t addressers =
      synthetic::addressers_within(images, std::stoll(given.find("bases")->text()), downsample);
  if (given.find("addressers")->text() == "0" && addressers > 0)
    choose(given, "addressers", addressers);
}

void Continual::settle_images_per_class(const continual::TaskStream& drawn, OptionSet& given) {
  if (!kind().once || !experiment) return;
  if (loop().images_per_class == "auto" && loop().parametrisation == "memories")
    settle_memories(drawn, given);
  const auto classes = std::ssize(drawn.task(0).classes);
  const int64_t whole = stream.memory / (stream.tasks * classes);
  const bool automatic = loop().images_per_class == "auto",
             pixels = loop().parametrisation == "pixels";
  const int64_t each =
      automatic ? std::max<int64_t>(whole, 1) : std::stoll(loop().images_per_class);
  loop().images_per_class = std::to_string(each);
  if (each <= whole || !pixels) return;
  throw ConfigError(ErrorMessage{
      "dividing the memory among the tasks",
      fmt::format("{} images for {} tasks are fewer than {} of each of a task's {} classes",
                  stream.memory, stream.tasks, each, classes),
      fmt::format("--memory {} or more", stream.tasks * classes * each),
      "or a --parametrisation that stores less than an image of each class"});
}
}  // namespace retort::cli
