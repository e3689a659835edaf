package browser

import "testing"

// TestAddressesOfARealNode opens what people type: a room without the #, which leads to it whatever its name, and an address that is
// none. The first sentence counts the people of a real cluster.
func TestAddressesOfARealNode(t *testing.T) {
	t.Parallel()
	const odd = "a/b?c#d é"
	p := newPlace(t)
	p.join("standup", "ada", "alan")
	p.join(odd, "grace")
	b := open(t, p.URL()+"/rooms/standup", 1280)
	b.Await(`document.querySelector(".room h1").textContent === "standup" && seen("2 participants") && location.pathname === "/"`)
	b = open(t, p.URL()+"/rooms/a%2Fb%3Fc%23d%20%C3%A9", 1280)
	b.Await(`document.querySelector(".room h1").textContent === a && seen("1 participant")`, odd)
	b = open(t, p.URL()+"/nowhere", 1280, "404")
	b.Await(`seen("There is no such address") && seen("/nowhere is not a part of this page.")`)
	b.Eval(`all("nav a").find((l) => says(l) === "Overview").click()`)
	b.Await(`document.querySelector(".headline h1").textContent === "All present. 3 people in 2 rooms."`)
	p.join("standup", "hedy")
	b.Await(`document.querySelector(".headline h1").textContent === "All present. 4 people in 2 rooms."`)
}
