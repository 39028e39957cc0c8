// Package page is the live page: the files that a browser gets from the admin
// listener. They are served as they stand here, without a build step, and load
// nothing from elsewhere.
//
// It imports nothing of the project. Start reading at files/index.html and
// files/app.js, which says what a tick of the server changes; history.js makes
// rates and latencies of the differences of two ticks, overview.js and conns.js
// are the two views, and text.js is what every text of a stranger passes before
// it is shown. The tests run the page in Chromium, against a fake server whose
// answers are in fake_test.go.
package page
