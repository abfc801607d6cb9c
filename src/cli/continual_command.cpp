// retort continual: a stream of tasks, learned with what one method stores of them, beside what
// other methods reached in the same folder.
#include <fmt/format.h>

#include <ostream>

#include "augment/siamese.h"
#include "cli/condenser.h"
#include "cli/host.h"
#include "cli/run_report.h"
#include "continual/continual.h"
#include "continual/ledger.h"
#include "continual/page.h"
#include "core/file.h"
#include "core/leftovers.h"
#include "core/mean.h"
#include "core/registry.h"
#include "retort/core/error.h"
#include "retort/core/recipe_folder.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort continual --stream class-incremental --steps 5 --data cifar-100-binary --method dm "
    "--images-per-class 20 --out runs/c\n"
    "  retort continual --stream class-incremental --steps 5 --data cifar-100-binary --method "
    "random --images-per-class 20 --out runs/c\n"
    "  retort continual --stream rotations --data mnist --method replay --out runs/r\n"
    "  retort continual --stream rotations --tasks 5 --samples-per-task 500 --memory 50 --data "
    "mnist --method dm --iterations 200 --out runs/r5\n"
    "\n"
    "Streams: class-incremental, rotations, permutations, many-permutations, incremental; options\n"
    "and defaults are those of the stream and the method: give both before --help.\n"
    "Methods: online (nothing is stored), replay (a reservoir of real images), and every method "
    "of\n"
    "`retort list methods`, whose set of a task is made when it arrives. While it is made, all\n"
    "samples of the task (--samples-per-task) are held at once and read many times; then they are\n"
    "dropped. online and replay hold one batch.\n"
    "One folder holds one stream: the same command with another --method adds to its page. A run\n"
    "that was stopped goes on when its command is given again.\n";

const FolderKind kStreamFolder{"folder of a stream", "orders"};
const FolderKind kMethodFolder{"folder of a method's sets", "orders"};

/// DataError where a stored set of an earlier start is damaged: one that is learned from no more is
/// read by nobody else.
void require_whole_sets(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename() == "distilled.safetensors") load_tensors(entry.path());
}

train::TrainOptions training_of(const Continual& command, const data::Dataset& data) {
  train::TrainOptions training =
      find_entry(std::span(eval::protocols()), "protocol", command.loop().protocol).training;
  if (training.augmentation == "auto")
    training.augmentation = augment::default_strategy(data.mirrorable);
  if (command.stream.evaluation_epochs > 0) training.epochs = command.stream.evaluation_epochs;
  return training;
}

Json to_json(const MeanDeviation& spread) {
  return {{"mean", spread.mean}, {"deviation", spread.deviation}};
}

Json to_json(const continual::Line& line) {
  Json curve = Json::array();
  for (const auto& seen : line.seen)
    if (!seen.empty()) curve.push_back(to_json(mean_deviation(seen)));
  return {
      {"name", line.name},
      {"use", line.use},
      {"orders", line.orders},
      {"accuracy_after_task", curve},
      {"retained_accuracy",
       to_json(mean_deviation(line.transfers, &continual::Transfer::retained))},
      {"learning_accuracy",
       to_json(mean_deviation(line.transfers, &continual::Transfer::learning))},
      {"backward_transfer",
       to_json(mean_deviation(line.transfers, &continual::Transfer::backward))},
      {"forward_transfer", to_json(mean_deviation(line.transfers, &continual::Transfer::forward))},
      {"stored_bytes", line.stored_bytes},
      {"training_steps", line.steps},
      {"buffered_samples", line.buffered_samples}};
}

void print(const Environment& environment, const Continual& command) {
  const fs::path folder = command.out, page = write_report(folder);
  const auto lines = continual::read_lines(folder);
  if (command.machine.json) {
    Json all = Json::array();
    for (const continual::Line& line : lines) all.push_back(to_json(line));
    environment.out << json_text(Json{{"out", folder.string()},
                                      {"stream", command.stream.stream},
                                      {"tasks", command.stream.tasks},
                                      {"methods", all},
                                      {"report", page.string()}},
                                 2)
                    << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{
      {"method", "RA %", "LA %", "BTI", "stored", "samples held", "orders"}};
  for (const continual::Line& line : lines) {
    if (line.transfers.empty()) continue;
    const MeanDeviation retained = mean_deviation(line.transfers, &continual::Transfer::retained);
    const MeanDeviation learning = mean_deviation(line.transfers, &continual::Transfer::learning);
    const MeanDeviation backward = mean_deviation(line.transfers, &continual::Transfer::backward);
    const auto of = std::ssize(line.transfers);
    rows.push_back({line.title(), percent(retained.mean, retained.deviation, of),
                    percent(learning.mean, learning.deviation, of),
                    percent(backward.mean, backward.deviation, of),
                    format_bytes(static_cast<double>(line.stored_bytes)),
                    std::to_string(line.buffered_samples), std::to_string(line.orders)});
  }
  environment.out << fmt::format("{}, {} tasks, {}\n\n", command.stream.stream,
                                 command.stream.tasks, command.loop().network)
                  << aligned(rows)
                  << "\nRA: accuracy on all tasks after the last one; LA: on each task when it was "
                     "learned; BTI: RA - LA,\nbelow 0 where tasks are forgotten. ± is the standard "
                     "deviation over orders and networks.\n"
                     "stored: the sets of all tasks after the last one; samples held: real ones of "
                     "a task, while it is learned.\n"
                  << "report: " << page.string() << "\n";
}

/// What the flags give for an option that decides which others there are.
std::string deciding(const Arguments& arguments, const char* option, const char* otherwise) {
  const std::string given = peek(arguments, option);
  return given.empty() ? otherwise : given;
}

/// The folder of a method and its options: its own, unless it is given a name.
void settle_name(Continual& command) {
  if (!command.name.empty()) return;
  command.name = command.loop().method;
  if (command.loop().parametrisation != "pixels")
    command.name += "-" + command.loop().parametrisation;
}

/// Learns what is not known yet, in a folder whose lock is held; false where it was asked to stop.
bool learn(const Environment& environment, const Continual& command, const data::Dataset& data,
           const nets::Network& network, at::Device device, const Condenser& condense) {
  const ProcessGroup& group = *environment.group;
  continual::Ledger ledger(fs::path(command.out) / "records.jsonl", command.name,
                           group.size() == 1);
  continual::ContinualInput input{data,         network, command.stream, training_of(command, data),
                                  command.uses, {},      device,         command.name};
  if (command.experiment) input.condense = condense;
  input.progress = environment.progress();
  input.stop = environment.stop;
  input.known = [&](const std::string& use, int64_t order, int64_t task) {
    return ledger.known(use, order, task);
  };
  input.group = &group;
  input.round = [&] { ledger.gather(group); };
  input.begin = [&](const continual::TaskStream& begun) { ledger.begin(begun); };
  input.record = [&](const continual::Learned& learned) { ledger.add(learned); };
  return continual::learn_continually(input);
}

}  // namespace

int run_continual(const Environment& environment, const Arguments& arguments) {
  Continual command(deciding(arguments, "stream", "class-incremental"),
                    deciding(arguments, "method", "dm"),
                    deciding(arguments, "parametrisation", "pixels"));
  OptionSet given, shared;
  command.declare(given);
  const Usage usage{"continual",
                    "Learns tasks that come one after another, with a stored set of each as the "
                    "memory.",
                    kExamples};
  if (!parse(environment, usage, arguments, given)) return 0;
  settle_name(command);
  command.check();
  command.stream.seed = command.loop().seed;
  command.declare_shared(shared);
  const fs::path folder = command.out;
  folder_started(folder, shared, kStreamFolder);
  if (command.experiment) folder_started(folder / command.name, given, kMethodFolder);

  const at::Device device = command.machine.apply(environment);
  const data::Dataset data = open_data(environment, command.data);
  const continual::TaskStream first(data, command.stream, 0);
  const std::string recipe = given.toml();  // as it was asked for
  command.settle_images_per_class(first, given);
  const auto network = nets::make_network(command.loop().network,
                                          {data.channels, data.height, data.width, data.classes()});
  const Condenser condense(command, data, device, environment);
  if (command.experiment) condense.check(first);

  const ProcessGroup& group = *environment.group;
  group.barrier();  // all have looked at the folder
  std::optional<FolderLock> lock;
  if (group.first()) {
    lock.emplace(folder, kStreamFolder, false);
    folder_started(folder, shared, kStreamFolder);
    remove_leftovers_in(folder);
    write_atomically(folder / "recipe.toml", shared.toml());
    if (command.experiment) write_atomically(folder / command.name / "recipe.toml", recipe);
  }
  group.barrier();
  if (!learn(environment, command, data, *network, device, condense))
    return say_stopped(environment);
  if (!group.first()) return 0;
  require_whole_sets(folder / command.name);
  print(environment, command);
  return 0;
}

}  // namespace retort::cli
