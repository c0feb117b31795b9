// Ranks search results: as Sphinx does, but guides and explanations come before lists of names, and a heading that is the
// query comes before pages that contain its words.
var Scorer = {
  score: ([page, , , , score, , kind]) =>
    score + (/^(start|guides\/|explanations\/)/.test(page) ? 8 : 0) + (kind === "title" && score >= Scorer.title ? 20 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
