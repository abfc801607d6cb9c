#include "continual/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/file.h"
#include "core/sizes.h"
#include "retort/core/error.h"
#include "retort/core/progress.h"
#include "synthetic/class_counts.h"

namespace retort::continual {
namespace {

namespace fs = std::filesystem;

/// What the recipe of a folder says of its stream.
struct Recipe {
  std::map<std::string, std::string> keys;
  std::string path;
  explicit Recipe(const fs::path& folder) : path((folder / "recipe.toml").string()) {
    for (const auto& [key, text] : read_flat_toml(path)) keys[key] = text;
  }
  std::string text(const std::string& key) const {
    const auto found = keys.find(key);
    return found == keys.end() ? std::string() : found->second;
  }
  const StreamKind& kind() const { return find_stream(text("stream")); }
  int64_t tasks() const {
    constexpr int64_t kMost = 10000;  // as `retort continual` takes
    const std::string key = kind().once ? "tasks" : "steps";
    const auto count = synthetic::whole_number(text(key));
    if (count && *count >= 1 && *count <= kMost) return *count;
    throw DataError(ErrorMessage{"reading '" + path + "'",
                                 "its " + key + " are '" + text(key) + "'",
                                 fmt::format("a whole number from 1 to {}", kMost),
                                 "the file was changed by hand: put its number back, or learn the "
                                 "stream again in another --out"});
  }
};

std::string signed_percent(const MeanDeviation& spread) {
  return fmt::format("{:+.1f} ± {:.1f}", 100 * spread.mean, 100 * spread.deviation);
}

/// Transfers of one order's networks, where all of its tasks are known.
void add_transfers(Line& line, const std::map<int64_t, Json>& tasks, int64_t count) {
  if (std::ssize(tasks) < count) return;
  ++line.orders;
  const size_t networks = tasks.begin()->second.at("accuracies").size();
  for (size_t network = 0; network < networks; ++network) {
    Accuracies accuracies;
    std::vector<double> initial;
    for (const auto& [task, record] : tasks) {
      accuracies.push_back(record.at("accuracies").at(network).get<std::vector<double>>());
      initial.push_back(record.at("initial").at(network).get<double>());
    }
    line.transfers.push_back(measure_transfer(accuracies, initial));
  }
}

report::Chart chart_of(const std::vector<Line>& lines, const StreamKind& kind) {
  report::Chart chart{
      kind.once ? "Accuracy after each task" : "Accuracy after each step",
      kind.once ? "tasks learned" : "steps learned",
      kind.once ? "accuracy on the tasks so far, %" : "accuracy on the classes so far, %",
      {}};
  for (const Line& line : lines) {
    report::Series series{line.title(), {}};
    for (size_t task = 0; task < line.seen.size(); ++task) {
      if (line.seen[task].empty()) continue;
      const MeanDeviation spread = retort::mean_deviation(line.seen[task]);
      series.points.emplace_back(task + 1, 100 * spread.mean);
      series.deviations.push_back(100 * spread.deviation);
    }
    chart.series.push_back(series);
  }
  return chart;
}

report::Table table_of(const std::vector<Line>& lines, const StreamKind& kind) {
  report::Table table;
  table.caption =
      "Mean ± standard deviation over orders and networks, in percent. Retained (RA): accuracy on "
      "all tasks after the last one; learning (LA): on each task when it was learned; backward "
      "transfer (BTI): RA - LA, negative where tasks are forgotten";
  table.head = {"method", "retained (RA)", "learning (LA)", "backward transfer (BTI)"};
  if (kind.once) {
    table.caption +=
        "; forward transfer (FWT): gain on the next task before it came, above an untrained "
        "network";
    table.head.emplace_back("forward transfer (FWT)");
  }
  for (const char* title : {"stored", "samples held", "steps", "orders"})
    table.head.emplace_back(title);
  table.percent_column = 1;
  for (const Line& line : lines) {
    if (line.transfers.empty()) continue;
    const MeanDeviation retained = mean_deviation(line.transfers, &Transfer::retained);
    const MeanDeviation learning = mean_deviation(line.transfers, &Transfer::learning);
    std::vector<std::string> row{
        line.title(), percent(retained.mean, retained.deviation),
        percent(learning.mean, learning.deviation),
        signed_percent(mean_deviation(line.transfers, &Transfer::backward))};
    if (kind.once)
      row.push_back(signed_percent(mean_deviation(line.transfers, &Transfer::forward)));
    row.push_back(format_bytes(static_cast<double>(line.stored_bytes)));
    row.push_back(std::to_string(line.buffered_samples));
    row.push_back(std::to_string(line.steps));
    row.push_back(std::to_string(line.orders));
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// First and last stored set of the first order.
std::vector<report::Figure> pictures_of(const fs::path& folder, const std::vector<Line>& lines,
                                        int64_t tasks) {
  std::vector<report::Figure> pictures;
  std::string before;
  for (const Line& line : lines) {
    if (line.name == before) continue;
    before = line.name;
    for (const int64_t task : {int64_t{0}, tasks - 1}) {
      const fs::path path =
          folder / line.name / "order0" / fmt::format("task{}", task) / "images" / "final.png";
      if (fs::exists(path))
        pictures.push_back(
            {fmt::format("{}: the stored set of task {}", line.name, task + 1), read_file(path)});
    }
  }
  return pictures;
}

std::vector<std::string> notes_of(const StreamKind& kind) {
  std::vector<std::string> notes{
      "While a task is current, all of its samples are held at once to make its stored set, beside "
      "the memory; 'samples held' says how many. Once the set is made they are never read again."};
  if (kind.once)
    notes.emplace_back(
        "retrain: a network is trained from scratch on all stored sets after every task. "
        "rehearsal: "
        "a network sees the stream once, each batch beside one of earlier tasks' stored sets. "
        "online: the stream alone; replay: beside a reservoir of real images.");
  notes.emplace_back(
      "Samples and test images of a task are drawn equally from its classes, as far as there are "
      "images.");
  if (kind.masked)
    notes.emplace_back(
        "The task is known at a test: logits of other tasks' classes are masked. Networks that see "
        "the stream are trained with that mask, too; those trained from scratch are not.");
  if (!kind.once)
    notes.emplace_back(
        "One head over all classes, tested on the classes so far; nothing is said of the task.");
  notes.emplace_back(
      "Means and deviations of pixels are those of the whole data set: they are known beforehand.");
  return notes;
}

std::vector<Line> lines_of(const std::vector<Json>& records, int64_t tasks) {
  std::vector<Line> lines;
  std::vector<std::map<int64_t, std::map<int64_t, Json>>> found;  // by line, order, task
  for (const Json& record : records) {
    if (record.value("kind", "") != "learned") continue;
    const std::string name = record.at("name"), use = record.at("use");
    auto line = std::find_if(lines.begin(), lines.end(),
                             [&](const Line& one) { return one.name == name && one.use == use; });
    if (line == lines.end()) {
      line = lines.insert(lines.end(), Line{name, use, {}, {}});
      line->seen.resize(to_size(tasks));
      found.emplace_back();
    }
    const int64_t order = record.at("order"), task = record.at("task");
    for (const double seen : record.at("seen")) line->seen.at(to_size(task)).push_back(seen);
    if (task == tasks - 1) {
      line->stored_bytes = record.at("stored_bytes");
      line->steps = record.at("steps");
    }
    line->buffered_samples =
        std::max<int64_t>(line->buffered_samples, record.at("buffered_samples"));
    found[to_size(line - lines.begin())][order][task] = record;
  }
  for (size_t i = 0; i < lines.size(); ++i)
    for (const auto& [order, by_task] : found[i]) add_transfers(lines[i], by_task, tasks);
  return lines;
}

}  // namespace

MeanDeviation mean_deviation(const std::vector<Transfer>& transfers, double Transfer::*field) {
  std::vector<double> values;
  for (const Transfer& transfer : transfers) values.push_back(transfer.*field);
  return retort::mean_deviation(values);
}

std::vector<Line> read_lines(const fs::path& folder) {
  const fs::path path = folder / "records.jsonl";
  try {
    return lines_of(read_records(path), Recipe(folder).tasks());
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {  // a key that is missing, a task that is not there
    throw DataError::damaged(path.string(),
                             "a record of a learned task lacks something or says what cannot be");
  }
}

bool is_stream_folder(const fs::path& folder) {
  if (!fs::exists(folder / "recipe.toml")) return false;
  const Recipe recipe(folder);
  return recipe.keys.contains("stream") && !recipe.keys.contains("method");
}

report::Page stream_page(const fs::path& folder) {
  const Recipe recipe(folder);
  const StreamKind& kind = recipe.kind();
  const auto lines = read_lines(folder);
  report::Page page;
  page.title = "Learning tasks that come one after another";
  page.summary =
      fmt::format("{}: {}; {} {} of {}, {}", kind.name, kind.summary, recipe.tasks(),
                  kind.once ? "tasks" : "steps", fs::path(recipe.text("data")).filename().string(),
                  recipe.text("network"));
  page.tables = {table_of(lines, kind)};
  page.charts = {chart_of(lines, kind)};
  page.pictures = pictures_of(folder, lines, recipe.tasks());
  page.notes = notes_of(kind);
  for (const char* key : {"tasks", "steps", "orders", "students", "samples_per_task", "memory",
                          "images_per_class", "network", "protocol", "evaluation_epochs",
                          "batch_size", "glances", "stream_learning_rate", "seed"})
    if (!recipe.text(key).empty()) page.facts.emplace_back(key, recipe.text(key));
  page.recipe = read_file(folder / "recipe.toml");
  return page;
}

}  // namespace retort::continual
