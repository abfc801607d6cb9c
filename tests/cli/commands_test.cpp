// The everyday calls, from data to page, on the built-in set.
#include <gtest/gtest.h>

#include "cli/command.h"
#include "cli/estimate.h"
#include "cli/refusal.h"
#include "cli/small_data.h"
#include "data/layout_files.h"
#include "retort/core/records.h"
#include "retort/nets/network.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;

std::vector<std::string> quick(const std::string& out) {
  return {"distill", "--method",  "dm",         "--data",       "shapes", "--images-per-class",
          "1",       "--network", "convnet-w8", "--iterations", "3",      "--real-batch",
          "4",       "--out",     out};
}

TEST(Commands, DistilEvaluateReportExportImport) {
  RETORT_NEEDS_PARTS();
  TempFolder folder;
  const std::string run = (folder / "run").string();
  const Answer made = call(quick(run));
  ASSERT_EQ(made.code, 0) << made.err;
  for (const char* name : {"recipe.toml", "records.jsonl", "checkpoint.safetensors",
                           "distilled.safetensors", "report.html"})
    EXPECT_TRUE(std::filesystem::exists(folder / "run" / name)) << name;

  EXPECT_EQ(made.err.find("engine"), std::string::npos);
  const Json opening = read_records(folder / "run" / "records.jsonl").at(0);
  const auto network = nets::make_network("convnet-w8", {3, 32, 32, 10});
  EXPECT_EQ(opening.at("engine"), network->engine_name());

  std::vector<std::string> line = quick(run);
  line.push_back("--debug");
  const Answer again = call(line);
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.err.find("engine '" + network->engine_name() + "'"), std::string::npos);
  EXPECT_NE(again.out.find("finished before"), std::string::npos);

  const Answer evaluated = call({"eval", run, "--data", "shapes", "--protocol", "demo",
                                 "--students", "1", "--json", "--networks", "convnet-w8-d1"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const Json evaluation = Json::parse(evaluated.out);
  EXPECT_EQ(evaluation.at("results").size(), 2U);
  EXPECT_EQ(evaluation.at("results")[1].at("subject"), "random");
  EXPECT_NE(tests::read_text(folder / "run" / "report.html").find("convnet-w8-d1"),
            std::string::npos);

  const std::string pt = (folder / "a.pt").string(), back = (folder / "b.safetensors").string();
  ASSERT_EQ(call({"export", run, "--format", "pt", "--out", pt}).code, 0);
  const Answer imported = call({"import", pt, "--data", "shapes", "--out", back, "--json"});
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_EQ(Json::parse(imported.out).at("images"), 10);
  EXPECT_EQ(tests::read_text(back).find("mosaic = "), std::string::npos);
  ASSERT_EQ(call({"import", pt, "--data", "shapes", "--out", back, "--mosaic", "2"}).code, 0);
  EXPECT_NE(tests::read_text(back).find("mosaic = 2"), std::string::npos);
}

TEST(Commands, EveryCommandHasHelpAndRefusesUnknownFlags) {
  for (const auto& [name, summary, run, shared] : cli::command_table()) {
    const Answer help = call({name, "--help"});
    EXPECT_EQ(help.code, 0) << name << help.err;
    EXPECT_NE(help.out.find("xample"), std::string::npos) << name;
    EXPECT_EQ(help.out.find("--estimate") != std::string::npos,
              name == "search" || cli::can_estimate(name));
    const Answer wrong = call({name, "--jsom"});
    EXPECT_EQ(wrong.code, 2) << name;
    EXPECT_NE(wrong.err.find("--jsom"), std::string::npos) << name;
  }
  EXPECT_NE(call({"--help"}).out.find("distill"), std::string::npos);
  EXPECT_EQ(call({}).code, 2);
}

TEST(Commands, ListAndDescribeKnowEveryMethod) {
  const Json list = Json::parse(call({"list", "--json"}).out);
  for (const auto& method : list.at("methods")) {
    const Answer text = call({"describe", method.at("name").get<std::string>()});
    EXPECT_EQ(text.code, 0);
    EXPECT_NE(text.out.find(method.at("summary").get<std::string>()), std::string::npos);
    EXPECT_NE(text.out.find("Several processes "), std::string::npos);
  }
  for (const char* section : {"networks", "parametrisations", "protocols", "optimizers",
                              "schedules", "readers", "classes"})
    EXPECT_FALSE(list.at(section).empty()) << section;
  for (const nets::EngineEntry& engine : nets::engine_table()) {
    const Json row{{"name", "engine " + engine.name},
                   {"summary", (engine.present ? "yes: " : "no: ") + engine.summary}};
    EXPECT_NE(std::find(list.at("parts").begin(), list.at("parts").end(), row),
              list.at("parts").end())
        << engine.name;
  }
}

TEST(Commands, ExpertsAreTrainedOnceAndShown) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const std::vector<std::string> line = {"experts",
                                         "--data",
                                         (folder / "data").string(),
                                         "--network",
                                         "convnet-w4-d2",
                                         "--count",
                                         "2",
                                         "--epochs",
                                         "2",
                                         "--normalisation",
                                         "zca",
                                         "--resolution",
                                         "8",
                                         "--json",
                                         "--out",
                                         (folder / "e").string()};
  const Answer made = call(line);
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.err.find(" free in "), std::string::npos) << made.err;
  const Json first = Json::parse(made.out);
  EXPECT_EQ(first.at("made"), 2);
  const Json second = Json::parse(call(line).out);
  EXPECT_EQ(second.at("already_finished"), true);
  EXPECT_EQ(second.at("experts"), first.at("experts"));
  const auto records = read_records(folder / "e" / "records.jsonl");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].at("kind"), "expert");
  EXPECT_EQ(records[1].at("accuracy"), first.at("experts")[1].at("accuracy"));
}

TEST(Commands, StudyDrawsSharpnessErrorsAndAccuracies) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const std::string data = (folder / "data").string(), experts = (folder / "e").string(),
                    run = (folder / "run").string(), page = (folder / "study.html").string();
  const auto ok = [](const std::string& line) {
    const Answer answer = call(tests::words(line));
    EXPECT_EQ(answer.code, 0) << line << "\n" << answer.err;
    return answer;
  };
  const std::string common = " --data " + data + " --network convnet-w4-d2 ";
  ok("experts --count 1 --epochs 2 --out " + experts + common);
  const Answer limited =
      ok("distill --method mtt --images-per-class 1 --iterations 2 --inner-steps 2 "
         "--expert-epochs 1 --max-start-epoch 1 --image-learning-rate 1 --protocol demo "
         "--memory-limit 4GB --experts " +
         experts + " --out " + run + common);
  EXPECT_NE(limited.err.find("4 GB at most"), std::string::npos) << limited.err;
  ok("eval " + run + " --students 1 --data " + data);
  const Answer study =
      ok("study --count 1 --images 8 --rounds 3 --inner-steps 2 --expert-epochs 1 "
         "--json --experts " +
         experts + " --sets " + run + "=" + experts + " --runs " + run + " --out " + page + common);
  const Json figures = Json::parse(study.out);
  EXPECT_EQ(figures.at("sharpness").at("series")[0].at("points").size(), 3U);
  EXPECT_EQ(figures.at("error").at("series")[0].at("points").size(), 2U);
  EXPECT_EQ(figures.at("accuracy").at("series")[0].at("name"), "1 expert epoch");
  EXPECT_NE(tests::read_text(page).find("Accumulated trajectory error"), std::string::npos);
  EXPECT_EQ(call({"study", "--data", data, "--out", page}).code, 2);
}

TEST(Commands, DocsPageOfMethodsIsWhatTheProgramPrints) {
  EXPECT_EQ(call({"describe", "--markdown"}).out,
            tests::read_text(std::filesystem::path(RETORT_SOURCE_DIR) / "docs" / "methods.md"))
      << "run: retort describe --markdown > docs/methods.md";
}

TEST(Commands, DataShowsEveryClassAsTextJsonPictureAndNpz) {
  RETORT_NEEDS_PARTS();
  TempFolder folder;
  const Answer shown = call({"data", "shapes", "--grid", (folder / "g.png").string()});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("10 classes"), std::string::npos);
  EXPECT_EQ(tests::read_text(folder / "g.png").substr(1, 3), "PNG");
  const Json found =
      Json::parse(call({"data", "shapes", "--json", "--validation-fraction", "0.1"}).out);
  EXPECT_EQ(found.at("validation"), 1000);
  EXPECT_EQ(found.at("classes").size(), 10U);
}

TEST(Commands, ARateThatIsTooHighIsWarnedOfOnceAndToTheEnd) {
  TempFolder folder;
  std::vector<std::string> line = quick((folder / "run").string());
  line.insert(line.end(), {"--image-learning-rate", "1e12"});
  const Answer made = call(line);
  ASSERT_EQ(made.code, 0) << made.err;
  const std::string told = "warning: after ";
  const size_t first = made.err.find(told);
  ASSERT_NE(first, std::string::npos) << made.err;
  EXPECT_EQ(made.err.find(told, first + 1), std::string::npos) << made.err;
  EXPECT_NE(made.err.find("lower --image-learning-rate"), std::string::npos);
  EXPECT_NE(made.out.find(told), std::string::npos) << made.out;
  EXPECT_NE(call(line).out.find(told), std::string::npos);  // of a finished run, too
  EXPECT_NE(tests::read_text(folder / "run" / "report.html").find("deviations from the mean"),
            std::string::npos);
}

TEST(Commands, DistillAsksForDataAndLengthInPlaceOfADay) {
  TempFolder folder;
  const std::string out = (folder / "run").string();
  tests::write_small_data(folder / "data");
  tests::expect_refused(folder.path(), {"distill", "--out", out}, 2,
                        {"missing: --data", "shapes, the built-in set"});
  tests::expect_refused(folder.path(),
                        {"distill", "--data", (folder / "data").string(), "--out", out}, 2,
                        {"missing: --iterations", "20000 is usual for dm"});
  const Answer chosen = call({"distill", "--method", "random", "--data", (folder / "data").string(),
                              "--images-per-class", "1", "--out", out});
  EXPECT_EQ(chosen.code, 0) << chosen.err;  // a choice has no length
}

TEST(Commands, DescribeIsStructuredAsJson) {
  const Json entry = Json::parse(call({"describe", "mtt", "--json"}).out).at("entries").at(0);
  EXPECT_EQ(entry.at("kind"), "method");
  bool found = false;
  for (const Json& option : entry.at("options"))
    if (option.at("option") == "--inner-steps") {
      found = true;
      EXPECT_EQ(option.at("type"), "integer");
      EXPECT_EQ(option.at("takes"), "an integer from 1 to 100000");
    }
  EXPECT_TRUE(found);
  EXPECT_FALSE(entry.at("deviations").empty());
  EXPECT_NE(entry.at("processes").at("shared").get<std::string>().find("--trajectories-per-step"),
            std::string::npos);
  // A name of a method and of a protocol gives both.
  EXPECT_EQ(Json::parse(call({"describe", "dm", "--json"}).out).at("entries").size(), 2U);
}

TEST(Commands, EvalTakesNetworkAsDistillDoes) {
  TempFolder folder;
  const std::string run = (folder / "run").string();
  tests::write_small_data(folder / "data");
  ASSERT_EQ(call({"distill", "--method", "random", "--data", (folder / "data").string(),
                  "--images-per-class", "1", "--out", run})
                .code,
            0);
  const Answer evaluated =
      call({"eval", run, "--network", "convnet-w4-d1", "--evaluation-epochs", "1", "--students",
            "1", "--random-baseline", "no", "--json", "yes"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const Json results = Json::parse(evaluated.out).at("results");
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].at("network"), "convnet-w4-d1");
}

TEST(Commands, AStudyWritesOverAPageOnlyWhereItWasNamed) {
  TempFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  tests::write_text(folder / "study.html", "mine");
  const Answer refused = call({"study", "--storage", "2", "--data", "shapes"});
  std::filesystem::current_path(before);
  tests::expect_message(refused, 2, {"'study.html' is there already", "--out"});
  EXPECT_EQ(tests::read_text(folder / "study.html"), "mine");
}

TEST(Commands, CompletionNamesCommandsAndFlags) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Answer script = call({"completion", shell});
    EXPECT_EQ(script.code, 0);
    EXPECT_NE(script.out.find("images-per-class"), std::string::npos) << shell;
  }
}

TEST(Commands, ARecipeAndFlagsAreTheSameOptions) {
  TempFolder folder;
  ASSERT_EQ(call(quick((folder / "flags").string())).code, 0);
  const Answer made = call({"distill", "--recipe", (folder / "flags" / "recipe.toml").string(),
                            "--out", (folder / "recipe").string()});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(tests::read_text(folder / "flags" / "distilled.safetensors"),
            tests::read_text(folder / "recipe" / "distilled.safetensors"));
}

TEST(Commands, AWhitenedRunKeepsItsMatricesInItsFolder) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const Answer made =
      call({"distill", "--data", (folder / "data").string(), "--normalisation", "zca",
            "--resolution", "8", "--images-per-class", "1", "--network", "convnet-w8-d1",
            "--iterations", "1", "--real-batch", "4", "--out", (folder / "run").string()});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_FALSE(std::filesystem::is_empty(folder / "run" / "cache"));
}

}  // namespace
}  // namespace retort
